package handlers

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"
)

// newEngine makes the engine of one listener, whose handlers do not depend on the caller's connection: see detach. A panic in a handler
// is logged and answered as a problem of the kind given.
func newEngine(f failures, panics kind, trustedProxies []string) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode) // gin keeps it for the process; any other mode prints to stdout
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.ContextWithFallback = true
	e.RedirectTrailingSlash = false // what Sinch makes of a redirect is not documented
	if err := e.SetTrustedProxies(trustedProxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	e.Use(detached, recovery(f, panics))
	e.NoMethod(func(c *gin.Context) {
		f.fail(c, &problem{kind: kindMethod, detail: "allowed: " + c.Writer.Header().Get("Allow")})
	})
	return e, nil
}

// recovery answers for a handler that panicked. A handler that aborts its connection on purpose is let through, and so is one that had begun to
// answer: the other side must not take half an answer for a whole one.
func recovery(f failures, as kind) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
				panic(cause)
			}
			f.log.LogAttrs(c.Request.Context(), slog.LevelError, "handler panicked",
				slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			f.fail(c, &problem{kind: as, cause: fmt.Errorf("panic: %v", cause)})
		}()
		c.Next()
	}
}
