package handlers

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// maxRequestTime is the time limit of a request whose steps have limits of their own.
const maxRequestTime = time.Hour

// detach returns a copy of a request's context that the caller's connection does not cancel; it ends after limit.
// net/http cancels the context as soon as the caller closes its sending side. That caller may still read the answer, and
// what it asked for must not stop halfway.
func detach(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// detached detaches every request of an engine. A handler sets the time limit for its work itself: when the work begins, since a
// slow body may come before it.
func detached(c *gin.Context) {
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
}
