package destinations

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// Config configures a Deliverer: its destinations, and what they share. The zero value has no destination.
type Config struct {
	Destinations []Destination
	UserAgent    string // the header User-Agent; default dlrloop
	// Memory limits the bytes of the events in memory, over all destinations, roughly. Zero means 48 MiB for each
	// destination, which is also the most that one uses.
	Memory int64
	// Rand returns random numbers in [0, 1) for the retry jitter. It must be safe for concurrent use. Nil means
	// math/rand/v2.
	Rand func() float64
	// Held reports whether this replica holds the leader lease store.LeaseDestinations at now. Nil means always, for a
	// single process. Held must be safe for concurrent use.
	Held func(ctx context.Context, now time.Time) (bool, error)
}

// Destination configures one URL of the application to which events are posted. Name and URL are required, and the
// format events also needs Secrets. Any other zero field means the default that its comment names.
type Destination struct {
	Name   string            // the key of the stored progress: a-z, 0-9, ".", "_" and "-", at most 64
	URL    string            // http or https
	Plans  []string          // default all
	Events []store.EventType // default all that the format can carry: Format.EventTypes
	Format Format            // default FormatEvents

	// MaxEvents is the largest number of events in a request of FormatEvents. Above 1 the body is an array, even for
	// one event. Default 1.
	MaxEvents int
	// Unordered lifts the rule that an event of a batch waits until the previous event of the batch is accepted.
	Unordered bool

	Secrets           []string // whsec_ and base64; each request is signed with all of them, at most two
	Token             string   // sent as a bearer token; empty for none
	CertFile, KeyFile string   // client certificate and its key, PEM, read for each new connection; empty for none
	CAFile            string   // certificates that may sign the server's, PEM; empty for those of the system

	Timeout    time.Duration // of one request; default 10 s
	Rate       float64       // most requests per second; 0 for no limit
	Workers    int           // most requests at the same time; default 8
	Backoff    relay.Backoff // delay between the attempts of an event
	GiveUp     time.Duration // an event whose attempts have failed for this long is dead; default 72 h
	MaxPending int           // if more events wait in the event log, the oldest are dead; default 1 000 000
	CallGrace  time.Duration // how long a request in flight may continue after Run's context ends; default 5 s
	Circuit    relay.Circuit // opens when the destination fails or refuses the events of several batches in a row

	limits limits
	dial   func(ctx context.Context, network, address string) (net.Conn, error) // for tests; nil means a net.Dialer
}

// limits bounds the memory that the events of one destination occupy, and sets how often the store is read and written
// and when a failing event is deferred. A zero field means its default, which its comment names.
type limits struct {
	events        int           // most events of the window that are neither delivered nor deferred nor dead; 10 000
	slots         int           // most events of the window; 65 536
	bytes         int           // most bytes of the events in the window, roughly; 16 MiB or a third of the memory
	deferred      int           // most deferred events; beyond, the event log is not read; 10 000
	deferredBytes int           // the same in bytes; 32 MiB or two thirds of the memory
	requestBytes  int           // most bytes of the events in one request, unless there is only one; 1 MiB
	attempts      int           // failed attempts of an event before it is deferred; 3
	hold          time.Duration // the same in time since the first failure, if that is shorter; 5 s
	poll          time.Duration // between two reads of an exhausted event log; 250 ms
	save          time.Duration // between two saves of the progress; 1 s
	check         time.Duration // between two looks for changes by an operator; 1 s
	count         time.Duration // between two counts of the waiting events; 5 s
	retry         time.Duration // after an error of the store; 1 s
}

func (l limits) withDefaults() limits {
	return limits{
		events: cmp.Or(l.events, 10_000), slots: cmp.Or(l.slots, 1<<16), bytes: cmp.Or(l.bytes, 16<<20),
		deferred: cmp.Or(l.deferred, 10_000), deferredBytes: cmp.Or(l.deferredBytes, 32<<20),
		requestBytes: cmp.Or(l.requestBytes, 1<<20),
		attempts:     cmp.Or(l.attempts, 3), hold: cmp.Or(l.hold, 5*time.Second),
		poll: cmp.Or(l.poll, 250*time.Millisecond), save: cmp.Or(l.save, time.Second),
		check: cmp.Or(l.check, time.Second), count: cmp.Or(l.count, 5*time.Second), retry: cmp.Or(l.retry, time.Second),
	}
}

// WithDefaults returns a copy of d in which each zero field that has a default is set to it.
func (d Destination) WithDefaults() Destination {
	d.Format = cmp.Or(d.Format, FormatEvents)
	if len(d.Events) == 0 {
		d.Events = d.Format.EventTypes()
	}
	d.MaxEvents = cmp.Or(d.MaxEvents, 1)
	d.Timeout = cmp.Or(d.Timeout, 10*time.Second)
	d.Workers = cmp.Or(d.Workers, 8)
	d.Backoff = d.Backoff.WithDefaults()
	d.GiveUp = cmp.Or(d.GiveUp, 72*time.Hour)
	d.MaxPending = cmp.Or(d.MaxPending, 1_000_000)
	d.CallGrace = cmp.Or(d.CallGrace, 5*time.Second)
	d.Circuit = d.Circuit.WithDefaults()
	d.limits = d.limits.withDefaults()
	return d
}
