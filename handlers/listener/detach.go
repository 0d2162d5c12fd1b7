package listener

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// Detach returns a copy of a request's context that ends after limit, but not when the client disconnects. The caller
// must call the returned function, which ends the copy, when the request is done. Detach is needed because net/http
// cancels the context of a request as soon as the client closes its sending side. At that time, the client may still be
// waiting for the answer.
func Detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached is a middleware that gives the request a context that does not end when the client closes its connection.
// The context has no time limit, so each handler must set one after it has read the body.
func detached(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
}
