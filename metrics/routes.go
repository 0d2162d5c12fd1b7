package metrics

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/dlr"
)

// maxCountries limits how many countries have series of their own. The first countries for which a message is counted
// get them. All later countries count as "other", so that invented phone numbers cannot create more series.
const maxCountries = 45

// routes counts messages in a final status by the country of the recipient, in route_messages_total. It is safe for
// concurrent use.
type routes struct {
	countries *countries
	series    lazySeries[countryCounters] // by country
}

// result is how a message ended, as the label result of route_messages_total shows it.
type result uint8

const (
	delivered result = iota
	undelivered
	unknown
	routeResults
)

func (r result) String() string { return [...]string{"delivered", "undelivered", "unknown"}[r] }

// resultOf returns the result for a message in a final status: delivered for dlr.Delivered, unknown for dlr.Unknown,
// and undelivered for every other final status.
func resultOf(s dlr.Status) result {
	switch s {
	case dlr.Delivered:
		return delivered
	case dlr.Unknown:
		return unknown
	}
	return undelivered
}

// countryCounters holds the counters of one country in route_messages_total. The index is a result.
type countryCounters [routeResults]prometheus.Counter

func (m *Metrics) newRoutes() *routes {
	counters := m.counters("route_messages_total", fmt.Sprintf(
		"Messages in a final status, by the country of the recipient's calling code (ISO 3166) and result: "+
			"delivered, unknown (status Unknown) or undelivered (any other). Only recipients named in a report count. "+
			"The first %d countries of a process have series of their own; "+
			"later ones count as other.", maxCountries), "country", "result")
	r := &routes{countries: newCountries()}
	room, others := maxCountries, (*countryCounters)(nil)
	r.series = newLazySeries(len(r.countries.names), func(country int) countryCounters {
		switch {
		case country == 0:
		case room == 0:
			return *others
		default:
			room--
		}
		var made countryCounters
		for i := range made {
			made[i] = counters.WithLabelValues(r.countries.names[country], result(i).String())
		}
		return made
	})
	others = r.series.at(0)
	return r
}

// count adds a number of messages to the counter for their result and for the country of the phone number.
func (r *routes) count(number string, ended result, messages int) {
	r.series.at(r.countries.countryOf(number))[ended].Add(float64(messages))
}

// lazySeries holds numbered Prometheus series, for example one for each country. Its method at returns the series with
// a given number, and creates it at the first use. Later uses need no lock. A lazySeries is safe for concurrent use.
type lazySeries[S any] struct {
	found  []atomic.Pointer[S]
	mu     *sync.Mutex        // serializes create
	create func(number int) S // called once for each number
}

func newLazySeries[S any](n int, create func(number int) S) lazySeries[S] {
	return lazySeries[S]{found: make([]atomic.Pointer[S], n), mu: new(sync.Mutex), create: create}
}

func (c *lazySeries[S]) at(number int) *S {
	if s := c.found[number].Load(); s != nil {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.found[number].Load(); s != nil {
		return s
	}
	s := c.create(number)
	c.found[number].Store(&s)
	return &s
}
