package listener

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// Detach returns a copy of ctx, the context of a request, that ends only after limit or when the returned function is
// called. net/http cancels ctx as soon as the client closes its sending side, but such a client may still read the
// answer, and the work for the answer must not stop halfway.
func Detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached is a middleware that detaches every request from its connection. It sets no time limit, since a slow body
// may come first: each handler sets the limit when its work begins.
func detached(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
}
