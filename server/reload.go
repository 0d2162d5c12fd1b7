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

// reload loads the configuration again for each value received from Options.Reloads, and applies new webhook
// credentials; other changes need a restart. After an error the previous configuration stays in use. reload also reads
// the TLS files each time, and every certificateInterval. It blocks until ctx ends, and then returns nil.
func (s *Server) reload(ctx context.Context) error {
	var failed error // of the last reload of the configuration
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

// reloadConfig loads the configuration again, applies new webhook credentials, and logs the result. After an error the
// previous configuration stays in use.
func (s *Server) reloadConfig(ctx context.Context) error {
	restart, err := s.reloadOnce()
	switch {
	case err != nil:
		s.log.LogAttrs(ctx, slog.LevelError, "configuration not reloaded; the previous one stays in use",
			slog.Any("error", err))
	case restart:
		s.log.LogAttrs(ctx, slog.LevelWarn, "webhook credentials reloaded; other changes need a restart")
	default:
		s.log.LogAttrs(ctx, slog.LevelInfo, "webhook credentials reloaded")
	}
	return err
}

// reloadCertificates reads the TLS files of all listeners again and returns their errors. It logs each new certificate,
// and each error that differs from the previous one of the same listener.
func (s *Server) reloadCertificates(ctx context.Context) error {
	var errs []error
	for _, l := range []*listener{s.public, s.private, s.gatewayOwn} {
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
			s.log.LogAttrs(ctx, slog.LevelWarn, "certificate not reloaded; the previous one stays in use until the "+
				"files are valid",
				listener, slog.Any("error", err), slog.Time("expires", expiry))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reloadOnce loads the configuration and applies new webhook credentials. It reports whether other settings have
// changed, which take effect only after a restart. A changed list of service plans is an error, and nothing is applied.
func (s *Server) reloadOnce() (restart bool, err error) {
	c, err := s.options.Reload()
	if err != nil {
		return false, err
	}
	if !reflect.DeepEqual(planIDs(c), planIDs(s.config)) {
		return false, fmt.Errorf("the list of plans has changed; restart dlrloop to apply it")
	}
	if err := s.webhook.SetPlans(publicPlans(c, policiesOf(s.config))); err != nil {
		return false, err
	}
	s.gateway.SetCallbacks(callbackURLs(s.config.Public.URL, c.Plans)) // a changed public.url needs a restart
	return !reflect.DeepEqual(withoutWebhooks(c), withoutWebhooks(s.config)), nil
}

// withoutWebhooks returns a copy of c without the webhook settings. If two such copies differ, a restart is needed to
// apply the change.
func withoutWebhooks(c *config.Config) config.Config {
	rest := *c
	rest.File, rest.Warnings = "", nil
	rest.Plans = append([]config.Plan(nil), c.Plans...)
	for i := range rest.Plans {
		rest.Plans[i].Webhook = config.Webhook{}
	}
	return rest
}
