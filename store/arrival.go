package store

import (
	"errors"
	"time"
)

// Arrival is one thing to be stored, such as a delivery report or a confirmation from the application. Store.Record
// makes it durable, and package fold then updates the stored rows from it.
type Arrival struct {
	Plan  string    // the service plan; never empty
	At    time.Time // when the arrival was received or made: UTC, truncated to the millisecond
	Entry Entry     // the content; never nil
	// Signature is what Sinch signed the callback with; nil if it did not, or if Policy.KeepCallbacks is not set.
	Signature *Signature
}

// Check returns an error if the plan, the entry or a required field of the entry is missing. Every callback that the
// webhook accepts passes the check.
func (a Arrival) Check() error {
	if a.Plan == "" {
		return errors.New("record: no plan")
	}
	if a.Entry == nil {
		return errors.New("record: no entry")
	}
	return a.Entry.Check()
}

// Key returns the key of the batch that the arrival changes. Its BatchID is empty for a Quarantined or Inbound entry,
// which changes no batch. Key panics if Entry is nil.
func (a Arrival) Key() BatchKey { return BatchKey{a.Plan, a.Entry.Batch()} }

// Entry is the content of an arrival: a Report, Quarantined, Inbound, BatchInfo, FetchNow, Confirmation, Settlement,
// Requeue or ReportFetched. To add a type, implement Entry, and extend package fold and the journal encoding in package
// boltstore.
type Entry interface {
	// Batch returns the id of the batch that the entry changes; empty for an entry that changes no batch.
	Batch() string
	// Check returns an error if a required field, such as the batch id, is missing.
	Check() error
	// Names returns how many phone numbers of recipients the entry names, duplicates included.
	Names() int
	// Named returns list i of the phone numbers that the entry names, in order and as received. It returns false once
	// i reaches the number of lists. The caller must not change the list. (An iterator would cost each report four
	// allocations.)
	Named(i int) (numbers []string, ok bool)
	// Restrict returns a copy of the entry with only some of its phone numbers: those at the positions from <= i < to,
	// counted over all lists of Named, with 0 <= from <= to <= Names. Folding consecutive ranges that together cover
	// all phone numbers has the effect of folding the whole entry. A Settlement returns itself unchanged.
	Restrict(from, to int) Entry
	// RawBytes returns the received body that the entry carries, without copying; nil if the entry carries no body.
	// The slice belongs to the caller of Store.Record.
	RawBytes() []byte
	// WithRaw returns a copy of the entry that refers to raw instead of RawBytes. Pass a slice with the same bytes. An
	// entry without a body returns itself.
	WithRaw(raw []byte) Entry
}

func checkBatch(id string) error {
	if id == "" {
		return errors.New("record: no batch id")
	}
	return nil
}

// onlyList is Entry.Named for an entry with a single list of phone numbers. It returns that list for i = 0, and false
// for any later list.
func onlyList(i int, numbers []string) ([]string, bool) {
	if i > 0 {
		return nil, false
	}
	return numbers, true
}

// Source says how dlrloop obtained a delivery report or a BatchInfo (the properties of a batch).
type Source uint8

// The values of Source, which the API shows as Source.String. A fetched report (FromPoll) never makes dlrloop fetch the
// full report (the one that names all recipients).
const (
	FromCallback     Source = iota // a callback of the webhook
	FromPoll                       // fetched from Sinch's API
	FromGateway                    // observed in a request or an answer that the gateway proxied
	FromRegistration               // registered by the application
)

func (s Source) String() string {
	return [...]string{"callback", "polled", "gateway", "registered"}[s&3]
}
