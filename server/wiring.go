package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
)

func planIDs(c *config.Config) []string {
	ids := make([]string, len(c.Plans))
	for i, p := range c.Plans {
		ids[i] = p.ID
	}
	return ids
}

func openStore(ctx context.Context, c *config.Config, o store.Observer) (store.Store, error) {
	policies := make(map[string]store.Policy, len(c.Plans))
	for _, p := range c.Plans {
		policies[p.ID] = store.Policy{On: p.Feedback.On, Coalesce: time.Duration(p.Feedback.Coalesce)}
	}
	return boltstore.Open(ctx, boltstore.Config{
		Path:     c.Store.Path,
		Policies: func(plan string) store.Policy { return policies[plan] },
		Observer: o,
	})
}

// wire builds everything that stands on the store, and binds the listeners.
func (s *Server) wire(registry *prometheus.Registry) (err error) {
	c := s.config
	if s.relay, err = newRelay(c, s); err != nil {
		return err
	}
	if s.webhook, err = newWebhook(c, s); err != nil {
		return err
	}
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, ErrorHandling: promhttp.ContinueOnError})
	private, err := newPrivate(c, s, scrape)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if s.public, err = listen(ctx, "public", c.Public.Listen, c.Public.TLS.CertFile, c.Public.TLS.KeyFile, s.webhook.Handler(), s.log); err != nil {
		return err
	}
	s.private, err = listen(ctx, "private", c.Private.Listen, "", "", private, s.log)
	return err
}

func newRelay(c *config.Config, s *Server) (*relay.Relay, error) {
	var plans []relay.Plan
	for _, p := range c.Plans {
		if p.Feedback.On == store.OnOff {
			continue
		}
		client, err := newClient(p, s.options.Version)
		if err != nil {
			return nil, fmt.Errorf("plan %s: %w", p.ID, err)
		}
		plans = append(plans, relay.Plan{
			ID: p.ID, Client: client,
			Workers: p.Feedback.Workers, Rate: p.Feedback.Rate, GiveUp: time.Duration(p.Feedback.GiveUp),
			Lease:   6 * time.Duration(p.Feedback.Timeout),
			Backoff: relay.Backoff{Base: time.Duration(p.Feedback.Backoff.Base), Cap: time.Duration(p.Feedback.Backoff.Cap)},
		})
	}
	return relay.New(relay.Config{Plans: plans}, s.store, s.metrics, s.log)
}

func newClient(p config.Plan, version string) (*sinch.Client, error) {
	c := sinch.Config{
		Plan: p.ID, Region: p.Region, BaseURL: p.BaseURL, Token: sinch.Secret(p.Token.Reveal()),
		Timeout: time.Duration(p.Feedback.Timeout), UserAgent: strings.TrimSuffix("dlrloop/"+version, "/"),
	}
	if p.Project.Used() {
		c.Project = sinch.Project{ID: p.Project.ID, KeyID: p.Project.KeyID, KeySecret: sinch.Secret(p.Project.KeySecret.Reveal())}
	}
	return sinch.New(c)
}
