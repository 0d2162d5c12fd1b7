package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// healthz answers GET /healthz with 200 whenever the process runs. It does not check the store.
func (p *API) healthz(c *gin.Context) { c.String(http.StatusOK, "ok\n") }

// readyz answers GET /readyz with 200 if callbacks can be recorded: the store is ready and the process is not shutting
// down. Otherwise it answers 503. It does not check whether Sinch can be reached.
func (p *API) readyz(c *gin.Context) {
	if p.config.Draining() {
		p.failures.Fail(c, &problem.Problem{Kind: problem.KindBusy, Detail: "draining: dlrloop is shutting down"})
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
	defer cancel()
	if err := p.store.Ready(ctx); err != nil {
		refused := problem.OfStore(err)
		refused.Detail = "the store is not ready, see the log"
		p.failures.Fail(c, refused)
		return
	}
	c.String(http.StatusOK, "ready\n")
}

// indexStyle is the hash of the style element in index.html, for the header Content-Security-Policy. It must be updated
// with the element, because a browser ignores a style that has another hash.
const indexStyle = "sha256-LbZe0/igPxhk4UfhONdtlltvJavB935rr4S6naB4gUA="

func (p *API) index(c *gin.Context) {
	c.Header("Content-Security-Policy", "default-src 'none'; style-src '"+indexStyle+
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	c.Data(http.StatusOK, "text/html; charset=utf-8", indexHTML)
}

func (p *API) openapi(c *gin.Context) {
	c.Data(http.StatusOK, "application/yaml", openapiYAML)
}
