package listener

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// NewEngine returns the gin engine of one listener, without routes. If a handler panics, f logs the panic and answers
// with a problem of the given kind. Pass as trustedProxies the IP addresses and networks whose X-Forwarded-For names
// the client; NewEngine returns an error for an invalid one. The context of a request does not end when the client
// closes its connection.
func NewEngine(f problem.Failures, panics problem.Kind, trustedProxies []string) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode) // a setting of the whole process; any other mode prints to stdout
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.ContextWithFallback = true
	e.RedirectTrailingSlash = false // how Sinch handles a redirect is not documented
	if err := e.SetTrustedProxies(trustedProxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	e.Use(detached, recovery(f, panics))
	e.NoMethod(func(c *gin.Context) {
		f.Fail(c, &problem.Problem{Kind: problem.KindMethod, Detail: "allowed: " + c.Writer.Header().Get("Allow")})
	})
	return e, nil
}

// Get registers h for GET and for HEAD requests of path, a path pattern of gin, at r.
func Get(r gin.IRoutes, path string, h gin.HandlerFunc) {
	r.GET(path, h)
	r.HEAD(path, h)
}

// recovery is a middleware that logs a handler's panic and answers it as a problem. It passes on http.ErrAbortHandler,
// which a handler raises on purpose. It aborts the connection if the answer has begun, so that the caller does not
// take a part for the whole.
func recovery(f problem.Failures, as problem.Kind) gin.HandlerFunc {
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
			f.Fail(c, &problem.Problem{Kind: as, Cause: fmt.Errorf("panic: %v", cause)})
		}()
		c.Next()
	}
}
