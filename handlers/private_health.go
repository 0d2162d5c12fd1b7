package handlers

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// healthz answers 200 while the process runs.
func (p *Private) healthz(c *gin.Context) { c.String(http.StatusOK, "ok\n") }

// readyz answers 200 if callbacks can be recorded: the store is ready and the process is not shutting down. Whether
// Sinch can be reached does not matter, since feedback can be sent later.
func (p *Private) readyz(c *gin.Context) {
	if p.config.Draining() {
		p.failures.fail(c, &problem{kind: kindBusy, detail: "draining: dlrloop is shutting down"})
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
	defer cancel()
	if err := p.store.Ready(ctx); err != nil {
		p.failures.fail(c, &problem{kind: kindUnavailable, detail: "the store is not ready, see the log", cause: err})
		return
	}
	c.String(http.StatusOK, "ready\n")
}

// indexStyle is the CSP hash of the style element of private_index.html. The browser accepts no other style.
const indexStyle = "sha256-LbZe0/igPxhk4UfhONdtlltvJavB935rr4S6naB4gUA="

func (p *Private) index(c *gin.Context) {
	c.Header("Content-Security-Policy", "default-src 'none'; style-src '"+indexStyle+
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	c.Data(http.StatusOK, "text/html; charset=utf-8", privateIndex)
}

func (p *Private) openapi(c *gin.Context) {
	c.Data(http.StatusOK, "application/yaml", openapiYAML)
}
