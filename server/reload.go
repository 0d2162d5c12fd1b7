package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/dlrloop/dlrloop/config"
)

// reload takes over the webhooks' credentials from the configuration whenever it is asked to, so that a secret can be changed
// without a callback refused. Everything else takes effect with the next start, and a configuration that is wrong changes
// nothing. The TLS files are read again then, too, and every certificateInterval; neither depends on the other.
func (s *Server) reload(ctx context.Context) error {
	var failed error // of the configuration
	ticker := time.NewTicker(certificateInterval)
	defer ticker.Stop()
	for {
		err := s.reloadCertificates(ctx)
		s.metrics.ConfigReloaded(failed == nil && err == nil)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.options.Reloads:
			if s.options.Reload != nil {
				failed = s.reloadConfig(ctx)
			}
		}
	}
}

func (s *Server) reloadConfig(ctx context.Context) error {
	restart, err := s.reloadOnce()
	switch {
	case err != nil:
		s.log.LogAttrs(ctx, slog.LevelError, "configuration not reloaded, the old one holds", slog.Any("error", err))
	case restart:
		s.log.LogAttrs(ctx, slog.LevelWarn, "webhook credentials reloaded; other changes need a restart")
	default:
		s.log.LogAttrs(ctx, slog.LevelInfo, "webhook credentials reloaded")
	}
	return err
}

// reloadCertificates reads the TLS files of all listeners. It logs an error once.
func (s *Server) reloadCertificates(ctx context.Context) error {
	var errs []error
	for _, l := range []*listener{s.public, s.private, s.apps} {
		if l == nil || l.certificate == nil {
			continue
		}
		c, listener := l.certificate, slog.String("listener", l.name)
		changed, err := c.read()
		expiry := c.expiry()
		s.metrics.CertificateExpires(l.name, expiry)
		switch {
		case err == nil:
			if changed || c.failed != "" {
				s.log.LogAttrs(ctx, slog.LevelInfo, "certificate reloaded", listener, slog.Time("expires", expiry))
			}
			c.failed = ""
		case c.failed != err.Error():
			c.failed = err.Error()
			s.log.LogAttrs(ctx, slog.LevelWarn, "certificate not reloaded, the old one holds until the files are right",
				listener, slog.Any("error", err), slog.Time("expires", expiry))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
