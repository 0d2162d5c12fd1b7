package listener

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// Detach returns a copy of ctx, a request's context, that ends only after limit or when the returned function is
// called. net/http cancels ctx as soon as the client closes its sending side, but such a client may still read the
// answer, so the work for the answer must go on.
func Detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached is a middleware after which the context of a request no longer ends when the client closes its connection.
// It sets no time limit, because a slow body may come first: each handler sets the limit when its work begins.
func detached(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
}
