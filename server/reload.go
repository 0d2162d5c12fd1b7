package server

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/dlrloop/dlrloop/config"
)

// reload takes over the webhooks' credentials from the configuration whenever it is asked to, so that a secret can be changed
// without a callback refused. Everything else takes effect with the next start, and a configuration that is wrong changes
// nothing.
func (s *Server) reload(ctx context.Context) error {
	s.metrics.ConfigReloaded(true)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.options.Reloads:
		}
		if s.options.Reload == nil {
			continue
		}
		restart, err := s.reloadOnce()
		s.metrics.ConfigReloaded(err == nil)
		switch {
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelError, "configuration not reloaded, the old one holds", slog.Any("error", err))
		case restart:
			s.log.LogAttrs(ctx, slog.LevelWarn, "webhook credentials reloaded; other changes need a restart")
		default:
			s.log.LogAttrs(ctx, slog.LevelInfo, "webhook credentials reloaded")
		}
	}
}

// reloadOnce reports whether more changed than the webhooks' credentials.
func (s *Server) reloadOnce() (restart bool, err error) {
	c, err := s.options.Reload()
	if err != nil {
		return false, err
	}
	if !reflect.DeepEqual(planIDs(c), planIDs(s.config)) {
		return false, fmt.Errorf("the plans are others than at the start: restart to change them")
	}
	if err := s.webhook.SetPlans(publicPlans(c)); err != nil {
		return false, err
	}
	s.gateway.SetCallbacks(callbackURLs(c))
	return !reflect.DeepEqual(withoutWebhooks(c), withoutWebhooks(s.config)), nil
}

// withoutWebhooks is what a reload does not take over.
func withoutWebhooks(c *config.Config) config.Config {
	rest := *c
	rest.File, rest.Warnings = "", nil
	rest.Plans = append([]config.Plan(nil), c.Plans...)
	for i := range rest.Plans {
		rest.Plans[i].Webhook = config.Webhook{}
	}
	return rest
}
