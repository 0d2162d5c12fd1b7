package server

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/api"
	"github.com/dlrloop/dlrloop/handlers/webhook"
)

func newWebhook(c *config.Config, s *Server) (*webhook.Webhook, error) {
	return webhook.New(webhook.Config{
		Plans:          publicPlans(c),
		MaxBody:        int64(c.Public.MaxBody),
		Memory:         sharesOf(c).bodies,
		ShedWith429:    c.Public.ShedWith429,
		TrustedProxies: c.Public.TrustedProxies,
	}, s.store, s.metrics, s.log)
}

func publicPlans(c *config.Config) []webhook.Plan {
	plans := make([]webhook.Plan, len(c.Plans))
	for i, p := range c.Plans {
		auth := p.Webhook.Auth
		plans[i] = webhook.Plan{
			ID:        p.ID,
			OnFailure: auth.OnFailure,
			Auth: webhook.Auth{
				HMAC:       webhook.HMAC{Secrets: reveal(auth.HMAC.Secrets), MaxAge: time.Duration(auth.HMAC.MaxAge)},
				Basic:      credentials(auth.Basic),
				Header:     webhook.Header{Name: auth.Header.Name, Values: reveal(auth.Header.Values)},
				PathTokens: reveal(auth.PathToken.Values),
				None:       auth.None,
			},
		}
	}
	return plans
}

func newPrivate(c *config.Config, s *Server, scrape http.Handler) (http.Handler, error) {
	p, err := api.New(api.Config{
		Listen:   c.Private.Listen,
		Basic:    credentials(c.Private.Credentials.Basic),
		Bearer:   reveal(c.Private.Credentials.Tokens),
		Plans:    planIDs(c),
		Draining: s.draining.Load,
	}, s.store, scrape, s.log)
	if err != nil {
		return nil, err
	}
	if c.Gateway.Listen != "" {
		return p.Handler(), nil // the gateway has its own listener
	}
	return s.gateway.Before(p.Handler()), nil
}

func credentials(pairs []config.Basic) []access.Basic {
	var all []access.Basic
	for _, b := range pairs {
		all = append(all, access.Basic{User: b.Username, Password: b.Password.Reveal()})
	}
	return all
}

func reveal(secrets []config.Secret) []string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return texts
}
