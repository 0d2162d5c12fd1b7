package server

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/relay/feedback"
	"github.com/dlrloop/dlrloop/relay/reconcile"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func planIDs(c *config.Config) []string {
	ids := make([]string, len(c.Plans))
	for i, p := range c.Plans {
		ids[i] = p.ID
	}
	return ids
}

// wire creates the components that use the store, and binds the listeners, which do not serve yet. The route /metrics
// will show the metrics in registry. After an error the caller must call Close.
func (s *Server) wire(registry *prometheus.Registry) (err error) {
	c := s.config
	sender, reports, err := newRelay(c, s)
	if err != nil {
		return err
	}
	s.relay.Store(sender)
	s.reports = reports
	if s.deliveries, err = newDeliveries(c, s); err != nil {
		return err
	}
	if s.webhook, err = newWebhook(c, s); err != nil {
		return err
	}
	if s.gateway, err = newGateway(c, s); err != nil {
		return err
	}
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry:      registry,
		ErrorHandling: promhttp.ContinueOnError,
	})
	private, err := newPrivate(c, s, scrape)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if s.public, err = listen(ctx, "public", c.Public.Listen, c.Public.TLS, s.webhook.Handler(), s.log); err != nil {
		return err
	}
	s.public.http.ConnState = newConnections(c.Public.MaxConnections, s.metrics, s.log).stateChanged
	if s.private, err = listen(ctx, "private", c.Private.Listen, config.TLS{}, private, s.log); err != nil ||
		c.Gateway.Listen == "" {
		return err
	}
	s.gatewayOwn, err = listen(ctx, "gateway", c.Gateway.Listen, c.Gateway.TLS, s.gateway.Handler(), s.log)
	return err
}

// newRelay creates the components that call Sinch: the relay sends delivery feedback, and the reconciler fetches
// missing reports. Both leave out service plans without credentials.
func newRelay(c *config.Config, s *Server) (*feedback.Relay, *reconcile.Reconciler, error) {
	var relayed []feedback.Plan
	var reconciled []reconcile.Plan
	for _, p := range c.Plans {
		if !p.Callable() {
			continue
		}
		client, err := newClient(p, s.options.Version)
		if err != nil {
			return nil, nil, fmt.Errorf("plan %s: %w", p.ID, err)
		}
		backoff := p.Feedback.Backoff.Relay()
		if p.Feedback.On != store.OnOff {
			relayed = append(relayed, feedback.Plan{
				ID: p.ID, Client: client,
				AllWanted: p.Feedback.Batches == config.AllBatches, Workers: p.Feedback.Workers, Rate: p.Feedback.Rate,
				GiveUp: time.Duration(p.Feedback.GiveUp), Lease: 6 * time.Duration(p.Feedback.Timeout), Backoff: backoff,
			})
		}
		if p.Reconcile.Silence > 0 {
			reconciled = append(reconciled, reconcile.Plan{
				ID: p.ID, Client: client, Rate: p.Reconcile.Rate, Backoff: backoff,
				PollInterval: min(5*time.Second, time.Duration(p.Reconcile.Silence)/4),
			})
		}
	}
	config := feedback.Config{Plans: relayed}
	if cluster, ok := s.store.(store.Cluster); ok {
		config.QuotaShare = cluster.QuotaShare
	}
	r, err := feedback.New(config, s.store, s.metrics, s.log)
	if err != nil {
		return nil, nil, err
	}
	held := s.leaderLease(store.LeaseReconcile).Held
	reports, err := reconcile.New(reconcile.Config{Plans: reconciled, Held: held}, s.store, s.metrics, s.log)
	return r, reports, err
}

func newClient(p config.Plan, version string) (*sinch.Client, error) {
	c := sinch.Config{
		Plan: p.ID, Region: p.Region, BaseURL: p.BaseURL, Token: sinch.Secret(p.Token.Reveal()),
		Timeout: time.Duration(p.Feedback.Timeout), UserAgent: userAgent(version),
	}
	if p.Project.Used() {
		c.Project = sinch.Project{
			ID: p.Project.ID, KeyID: p.Project.KeyID,
			KeySecret: sinch.Secret(p.Project.KeySecret.Reveal()),
		}
	}
	return sinch.New(c)
}
