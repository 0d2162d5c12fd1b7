package store

import (
	"errors"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
)

// Report is a delivery report with the body it was parsed from.
type Report struct {
	*dlr.Report
	Raw    []byte // the body as received
	Source Source // FromCallback or FromPoll
}

// Batch returns the id of the report's batch.
func (r Report) Batch() string { return r.BatchID }

// Check returns an error if r.Report is nil or its batch id is empty.
func (r Report) Check() error {
	if r.Report == nil {
		return errors.New("record: no report")
	}
	return checkBatch(r.BatchID)
}

// Names returns how many phone numbers all entries of the report name, duplicates included.
func (r Report) Names() int {
	names := 0
	for i := range r.Entries {
		names += len(r.Entries[i].Recipients)
	}
	return names
}

// Named returns the phone numbers that entry i of the report names, and false if the report has no entry i.
func (r Report) Named(i int) ([]string, bool) {
	if i >= len(r.Entries) {
		return nil, false
	}
	return r.Entries[i].Recipients, true
}

// Restrict returns a copy of r whose entries name only the phone numbers from <= i < to, counted over all entries. The
// copy has the same counts and shares Raw.
func (r Report) Restrict(from, to int) Entry {
	whole := *r.Report
	whole.Entries = slices.Clone(whole.Entries)
	begin := 0
	for i := range whole.Entries {
		e := &whole.Entries[i]
		end := begin + len(e.Recipients)
		e.Recipients = between(e.Recipients, from-begin, to-begin)
		begin = end
	}
	r.Report = &whole
	return r
}

// between returns the part of numbers inside from..to; the bounds may lie outside the slice.
func between(numbers []string, from, to int) []string {
	from, to = min(max(from, 0), len(numbers)), min(max(to, 0), len(numbers))
	return numbers[from:to:to]
}

// RawBytes returns Raw without copying.
func (r Report) RawBytes() []byte { return r.Raw }

// WithRaw returns a copy of r that refers to raw.
func (r Report) WithRaw(raw []byte) Entry {
	r.Raw = raw
	return r
}
