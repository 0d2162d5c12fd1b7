package server

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers"
)

func newWebhook(c *config.Config, s *Server) (*handlers.Public, error) {
	return handlers.NewPublic(handlers.PublicConfig{
		Plans:          publicPlans(c),
		MaxBody:        int64(c.Public.MaxBody),
		Memory:         sharesOf(c).bodies,
		ShedWith429:    c.Public.ShedWith429,
		TrustedProxies: c.Public.TrustedProxies,
	}, s.store, s.metrics, s.log)
}

func publicPlans(c *config.Config) []handlers.PublicPlan {
	plans := make([]handlers.PublicPlan, len(c.Plans))
	for i, p := range c.Plans {
		auth := p.Webhook.Auth
		plans[i] = handlers.PublicPlan{
			ID:        p.ID,
			OnFailure: handlers.OnFailure(auth.OnFailure),
			Auth: handlers.Auth{
				HMAC:       handlers.HMAC{Secrets: reveal(auth.HMAC.Secrets), MaxAge: time.Duration(auth.HMAC.MaxAge)},
				Basic:      credentials(auth.Basic),
				Header:     handlers.Header{Name: auth.Header.Name, Values: reveal(auth.Header.Values)},
				PathTokens: reveal(auth.PathToken.Values),
				None:       auth.None,
			},
		}
	}
	return plans
}

func newPrivate(c *config.Config, s *Server, scrape http.Handler) (http.Handler, error) {
	gateway := s.gateway
	if c.Gateway.Listen != "" {
		gateway = nil // the gateway has its own listener
	}
	p, err := handlers.NewPrivate(handlers.PrivateConfig{
		Gateway:  gateway,
		Listen:   c.Private.Listen,
		Basic:    credentials(c.Private.Credentials.Basic),
		Bearer:   reveal(c.Private.Credentials.Tokens),
		Plans:    planIDs(c),
		Draining: s.draining.Load,
	}, s.store, scrape, s.log)
	if err != nil {
		return nil, err
	}
	return p.Handler(), nil
}

func credentials(pairs []config.Basic) []handlers.BasicCredential {
	var all []handlers.BasicCredential
	for _, b := range pairs {
		all = append(all, handlers.BasicCredential{User: b.Username, Password: b.Password.Reveal()})
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
