package config

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/relay/destinations"
	"github.com/dlrloop/dlrloop/store"
)

// Destination is a URL of your application to which dlrloop delivers events. It delivers each event at least once, and
// the events of a batch in order unless `ordered` is false. A new destination gets no events that are older than
// dlrloop's first start with it. dlrloop retries events after an answer other than 2xx, except 410: this answer pauses
// the destination until `dlrloop destination requeue`.
type Destination struct {
	// The name, which identifies what is already delivered: do not change it. `a` to `z`, digits, `.`, `_` and `-`, at
	// most 64.
	Name string `yaml:"name"`
	// The URL, to which dlrloop sends POST requests. It does not follow redirects.
	URL string `yaml:"url"`
	// What is sent. `events`: events in JSON, signed according to Standard Webhooks. `sinch`: Sinch's callbacks byte
	// for byte, with the headers of Sinch's signature.
	Format destinations.Format `yaml:"format"`
	// The service plans whose events are sent. Empty: all plans.
	Plans []string `yaml:"plans"`
	// The types of events that are sent, such as `recipient.status`. Empty: all. With `format: sinch` the types are
	// `report.received`, `inbound.received` and `callback.quarantined`.
	Events []string `yaml:"events"`
	// With `format: events`: the largest number of events in a request. With more than `1` the body is an array.
	MaxEvents int `yaml:"max_events" range:"1..1000"`
	// Whether an event of a batch waits until the previous event of the batch is accepted.
	Ordered bool `yaml:"ordered"`
	// With `format: events`: the secrets that sign each request, `whsec_` and base64; two while one is rotated.
	Secrets []Secret `yaml:"secrets"`
	// Files that hold one secret each.
	SecretFiles []string `yaml:"secret_files"`
	// A bearer token that is sent with each request.
	Token Secret `yaml:"token"`
	// A file that holds the bearer token.
	TokenFile string `yaml:"token_file"`
	// A client certificate for HTTPS, PEM. Changed files are used for new connections.
	CertFile string `yaml:"cert_file"`
	// The private key of the client certificate, PEM.
	KeyFile string `yaml:"key_file"`
	// The certificates that may sign the certificate of the URL's host, PEM. Empty: those of the system.
	CAFile string `yaml:"ca_file"`
	// The time limit of one request.
	Timeout Duration `yaml:"timeout" range:"100ms..5m"`
	// The maximum number of requests per second. `0`: no limit.
	Rate float64 `yaml:"rate" range:"0|0.01..100000"`
	// The maximum number of requests at the same time.
	Workers int     `yaml:"workers" range:"1..1000"`
	Backoff Backoff `yaml:"backoff"`
	// How long a failing event is retried before it is dead. An operator can requeue it.
	GiveUp Duration `yaml:"give_up" range:"1m..365d"`
	// The maximum number of events that wait in the event log. Beyond it the oldest are dead. Those that the destination
	// does not receive count, too, until dlrloop has read them.
	MaxPending int `yaml:"max_pending" range:"1000..100000000"`
}

// Delivery converts the destination to the type of package relay/destinations, which delivers the events. The result
// has the secrets in plain text.
func (d Destination) Delivery() destinations.Destination {
	events := make([]store.EventType, len(d.Events))
	for i, e := range d.Events {
		events[i] = store.EventType(e)
	}
	return destinations.Destination{
		Name: d.Name, URL: d.URL, Plans: d.Plans, Events: events, Format: d.Format,
		MaxEvents: d.MaxEvents, Unordered: !d.Ordered,
		Secrets: Reveal(d.Secrets), Token: d.Token.Reveal(),
		CertFile: d.CertFile, KeyFile: d.KeyFile, CAFile: d.CAFile,
		Timeout: time.Duration(d.Timeout), Rate: d.Rate, Workers: d.Workers, Backoff: d.Backoff.Relay(),
		GiveUp: time.Duration(d.GiveUp), MaxPending: d.MaxPending,
	}
}

// SendsCallbacks reports whether the destination receives Sinch's own callbacks instead of events.
func (d Destination) SendsCallbacks() bool { return d.Format == destinations.FormatSinch }

// Covers reports whether the destination receives events of the service plan with this id. A destination without a list
// of plans receives the events of all plans.
func (d Destination) Covers(plan string) bool {
	return len(d.Plans) == 0 || slices.Contains(d.Plans, plan)
}
