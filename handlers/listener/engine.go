package listener

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// NewEngine returns a gin engine without routes. If a handler panics, the engine logs the panic with f and answers with
// a problem of the given kind. The context of a request does not end when the client disconnects. trustedProxies lists
// IP addresses and networks of proxies whose X-Forwarded-For header is believed; an invalid entry is an error.
func NewEngine(f problem.Failures, kind problem.Kind, trustedProxies []string) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode) // a setting of the whole process; any other mode prints to stdout
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.ContextWithFallback = true
	e.RedirectTrailingSlash = false // how Sinch handles a redirect is not documented
	if err := e.SetTrustedProxies(trustedProxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	e.Use(detached, recovery(f, kind))
	e.NoMethod(func(c *gin.Context) {
		f.Fail(c, &problem.Problem{Kind: problem.KindMethod, Detail: "allowed: " + c.Writer.Header().Get("Allow")})
	})
	return e, nil
}

// Get registers h for GET and HEAD requests to path, which may be a gin pattern such as /batches/:id.
func Get(r gin.IRoutes, path string, h gin.HandlerFunc) {
	r.GET(path, h)
	r.HEAD(path, h)
}

// recovery returns a middleware that logs a handler's panic with f and answers with a problem of the given kind. If a
// part of the answer was already sent, it aborts the connection, so that the client notices that the rest is missing.
// It does not recover http.ErrAbortHandler, with which a handler aborts on purpose.
func recovery(f problem.Failures, kind problem.Kind) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares with == too
				panic(cause)
			}
			f.Log.LogAttrs(c.Request.Context(), slog.LevelError, "handler panicked",
				slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			f.Fail(c, &problem.Problem{Kind: kind, Cause: fmt.Errorf("panic: %v", cause)})
		}()
		c.Next()
	}
}
