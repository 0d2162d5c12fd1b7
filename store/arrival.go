package store

import (
	"errors"
	"time"
)

// Arrival is one thing to store: what arrived, for which plan, and when. Record makes an arrival durable, and the
// fold applies it to the state.
type Arrival struct {
	Plan  string    // the service plan; never empty
	At    time.Time // time of arrival, UTC, truncated to the millisecond
	Entry Entry     // the content
}

// Check returns an error if the arrival is incomplete. A callback that the webhook accepted is always complete.
func (a Arrival) Check() error {
	if a.Plan == "" {
		return errors.New("record: no plan")
	}
	if a.Entry == nil {
		return errors.New("record: no entry")
	}
	return a.Entry.Check()
}

// Key returns the key of the batch that the arrival belongs to. Its BatchID is empty if the arrival belongs to no
// batch.
func (a Arrival) Key() BatchKey { return BatchKey{a.Plan, a.Entry.Batch()} }

// Entry is the content of an arrival. Each kind has a file of its own: a Report, Quarantined, BatchInfo, FetchNow,
// Confirmation, Settlement, Requeue or ReportFetched. To add a kind, implement Entry and extend the fold and the journal
// codec of boltstore.
type Entry interface {
	// Batch returns the batch id; empty if the content belongs to no batch.
	Batch() string
	// Check returns an error if the content is incomplete.
	Check() error
	// Names returns how many recipient numbers the content names, duplicates included.
	Names() int
	// Named returns these numbers as lists, in order and as received: list i, or false if there are only i lists. An
	// iterator would cost each report four allocations.
	Named(i int) (numbers []string, ok bool)
	// Restrict returns the content with only the numbers from..to, in the order of Named. Consecutive ranges that
	// cover all numbers have the same effect as the whole content. A Settlement stays whole.
	Restrict(from, to int) Entry
	// RawBytes returns the bytes that the content keeps as they were received; nil if it keeps none. They belong to
	// the caller of Record.
	RawBytes() []byte
	// WithRaw returns the content with raw, a copy of its RawBytes, in their place.
	WithRaw(raw []byte) Entry
}

// checkBatch returns an error if a batch id is empty.
func checkBatch(id string) error {
	if id == "" {
		return errors.New("record: no batch id")
	}
	return nil
}

// onlyList is Named for content with one list of numbers.
func onlyList(i int, numbers []string) ([]string, bool) {
	if i > 0 {
		return nil, false
	}
	return numbers, true
}

// Source is where a report or batch info came from.
type Source uint8

// The sources of a report or of batch info.
const (
	FromCallback     Source = iota // a callback of the webhook
	FromPoll                       // fetched from Sinch's API
	FromGateway                    // observed in a request or an answer that the gateway proxied
	FromRegistration               // registered by the application
)

func (s Source) String() string {
	return [...]string{"callback", "polled", "gateway", "registered"}[s&3]
}
