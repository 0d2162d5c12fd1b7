package listener

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// Detach returns a copy of a request's context that ends after limit or when the returned function is called, but not
// when the client disconnects. It is needed because net/http cancels the original as soon as the client closes its
// sending side, although the client may still wait for the answer.
func Detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached is a middleware that gives the request a context that does not end when the client closes its connection.
// The context has no time limit, so each handler must set one after it has read the body.
func detached(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
}
