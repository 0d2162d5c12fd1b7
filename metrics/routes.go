package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/dlr"
)

// maxCountries is how many countries have series of their own. There is no end of countries that somebody who sends to
// everywhere, or invents numbers, could reach; the first that come are those that the plans send to.
const maxCountries = 45

// routes counts final messages by the country of their recipient.
type routes struct {
	countries *countries
	series    cells[route] // by country
}

// result is how a message ended, for its route.
type result uint8

const (
	delivered result = iota
	undelivered
	unknown
	routeResults
)

func (r result) String() string { return [...]string{"delivered", "undelivered", "unknown"}[r] }

// resultOf is the result that a final status stands for.
func resultOf(s dlr.Status) result {
	switch s {
	case dlr.Delivered:
		return delivered
	case dlr.Unknown:
		return unknown
	}
	return undelivered
}

// route has the series of one country, by result.
type route [routeResults]prometheus.Counter

func (m *Metrics) newRoutes() *routes {
	counters := m.counters("route_messages_total", fmt.Sprintf(
		"Messages newly reported in a final status, by the country of the recipient's calling code (ISO 3166): delivered, unknown (status Unknown) or "+
			"undelivered (every other). Only recipients whom a report names. The first %d countries that a process meets have series of their own, "+
			"later ones count as other.", maxCountries), "country", "result")
	r := &routes{countries: newCountries()}
	room, others := maxCountries, (*route)(nil)
	r.series = newCells(len(r.countries.names), func(country int) route {
		switch {
		case country == 0:
		case room == 0:
			return *others
		default:
			room--
		}
		var made route
		for i := range made {
			made[i] = counters.WithLabelValues(r.countries.names[country], result(i).String())
		}
		return made
	})
	others = r.series.at(0)
	return r
}

// count counts messages to a number that ended so.
func (r *routes) count(number string, ended result, messages int) {
	r.series.at(r.countries.of(number))[ended].Add(float64(messages))
}
