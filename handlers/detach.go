package handlers

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// maxRequestTime is the time limit of any request. Whatever waits for the store has a shorter limit of its own.
const maxRequestTime = time.Hour

// detach returns a copy of a request's context that the caller's connection does not cancel; it ends after limit.
// net/http cancels the context as soon as the caller closes its sending side. That caller may still read the answer, and
// what it asked for must not stop halfway.
func detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached detaches every request of an engine.
func detached(c *gin.Context) {
	ctx, cancel := detach(c.Request.Context(), maxRequestTime)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}
