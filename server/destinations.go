package server

import (
	"strings"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/relay/destinations"
	"github.com/dlrloop/dlrloop/store"
)

func destinationNames(c *config.Config) []string {
	names := make([]string, len(c.Destinations))
	for i, d := range c.Destinations {
		names[i] = d.Name
	}
	return names
}

// newDeliveries creates the component that sends events to the configured destinations, which are URLs of the
// application. If no destination is configured, the component sends nothing.
func newDeliveries(c *config.Config, s *Server) (*destinations.Deliverer, error) {
	d := destinations.Config{
		UserAgent: userAgent(s.options.Version), Memory: sharesOf(c).events,
		Held: s.leaderLease(store.LeaseDestinations).Held,
	}
	for _, one := range c.Destinations {
		d.Destinations = append(d.Destinations, one.Delivery())
	}
	return destinations.New(d, s.store, s.metrics, s.log)
}

// userAgent returns the User-Agent header of dlrloop's own requests, such as "dlrloop/1.2.0", or "dlrloop" if version
// is empty.
func userAgent(version string) string { return strings.TrimSuffix("dlrloop/"+version, "/") }

// destinationPolicy adapts p, the store's policy for a service plan, to the destinations that receive the plan's
// events. If there are any, the store must keep events. If the format of one of them is "sinch", the events must
// contain Sinch's callbacks.
func destinationPolicy(c *config.Config, plan string, p *store.Policy) {
	for _, d := range c.Destinations {
		if d.Covers(plan) {
			p.Events = true
			p.KeepCallbacks = p.KeepCallbacks || d.Format == destinations.FormatSinch
		}
	}
}
