package server

import (
	"net/http"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/api"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store"
)

func newWebhook(c *config.Config, s *Server) (*webhook.Webhook, error) {
	return webhook.New(webhook.Config{
		Plans:          publicPlans(c, policiesOf(c)),
		MaxBody:        int64(c.Public.MaxBody),
		Memory:         sharesOf(c).bodies,
		DiscardInbound: !c.Inbound.Keep,
		ShedWith429:    c.Public.ShedWith429,
		TrustedProxies: c.Public.TrustedProxies,
	}, s.store, s.metrics, s.log)
}

// publicPlans returns the settings of all service plans for the webhook, with their credentials. policies must be the
// policies with which the store was opened.
func publicPlans(c *config.Config, policies store.Policies) []webhook.Plan {
	plans := make([]webhook.Plan, len(c.Plans))
	for i, p := range c.Plans {
		plans[i] = webhook.Plan{
			ID: p.ID, OnFailure: p.Webhook.Auth.OnFailure, Auth: p.Webhook.Auth.Webhook(),
			KeepSignature: policies(p.ID).KeepCallbacks,
		}
	}
	return plans
}

// eventLog returns s as the event log that GET /api/v1/events reads, or nil if the configuration turns the event feed
// off (events.keep is 0).
func eventLog(c *config.Config, s store.Store) api.EventLog {
	if c.Events.Keep <= 0 {
		return nil
	}
	return s
}

func newPrivate(c *config.Config, s *Server, scrape http.Handler) (http.Handler, error) {
	p, err := api.New(api.Config{
		Listen:   c.Private.Listen,
		Basic:    config.Access(c.Private.Credentials.Basic),
		Bearer:   config.Reveal(c.Private.Credentials.Tokens),
		Plans:    planIDs(c),
		Draining: s.draining.Load,
		Events:   eventLog(c, s.store),

		Destinations: destinationNames(c),
		FeedMemory:   sharesOf(c).feed,
	}, s.store, scrape, s.log)
	if err != nil {
		return nil, err
	}
	if c.Gateway.Listen != "" {
		return p.Handler(), nil // the gateway has its own listener
	}
	return s.gateway.Before(p.Handler()), nil
}
