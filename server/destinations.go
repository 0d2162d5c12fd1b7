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

// newDeliveries creates the part that delivers events to the destinations, of which there may be none.
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

// userAgent returns the header User-Agent of the requests that this version of dlrloop makes.
func userAgent(version string) string { return strings.TrimSuffix("dlrloop/"+version, "/") }

// destinationPolicy adds to a plan's policy what its destinations need: that events are stored, and with them Sinch's
// callbacks for a destination that receives those.
func destinationPolicy(c *config.Config, plan string, p *store.Policy) {
	for _, d := range c.Destinations {
		if d.Covers(plan) {
			p.Events = true
			p.KeepCallbacks = p.KeepCallbacks || d.Format == destinations.FormatSinch
		}
	}
}
