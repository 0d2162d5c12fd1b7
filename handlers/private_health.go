package handlers

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// healthz says that the process lives.
func (p *Private) healthz(c *gin.Context) { c.String(http.StatusOK, "ok\n") }

// readyz says whether callbacks are taken: the store accepts them and the process is not about to end. Whether Sinch can
// be reached does not matter: what arrives now can be sent later.
func (p *Private) readyz(c *gin.Context) {
	if p.config.Draining() {
		p.failures.fail(c, &problem{kind: kindBusy, detail: "draining: the process is about to end"})
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
	defer cancel()
	if err := p.store.Ready(ctx); err != nil {
		p.failures.fail(c, &problem{kind: kindUnavailable, detail: "the store accepts nothing now; the log says why", cause: err})
		return
	}
	c.String(http.StatusOK, "ready\n")
}

// indexStyle is the digest of the page's style, which lets a browser take that one and no other.
const indexStyle = "sha256-LbZe0/igPxhk4UfhONdtlltvJavB935rr4S6naB4gUA="

func (p *Private) index(c *gin.Context) {
	c.Writer.Header().Set("Content-Security-Policy", "default-src 'none'; style-src '"+indexStyle+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	c.Data(http.StatusOK, "text/html; charset=utf-8", privateIndex)
}

func (p *Private) openapi(c *gin.Context) {
	c.Data(http.StatusOK, "application/yaml", openapiYAML)
}
