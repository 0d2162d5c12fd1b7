package listener

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// Detach returns a copy of ctx that does not end when the caller's connection closes; it ends after limit. net/http
// cancels a request's context as soon as the caller closes its sending side. Such a caller may still read the answer,
// and the work for it must not stop halfway.
func Detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached is a middleware that detaches every request from its connection. It sets no time limit, since a slow body
// may come first: each handler sets the limit when its work begins.
func detached(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
}
