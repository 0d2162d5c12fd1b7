package store

import (
	"errors"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
)

// Report is a parsed delivery report together with its body as received.
type Report struct {
	*dlr.Report
	Raw    []byte // the body as received
	Source Source // FromCallback or FromPoll
}

// Batch returns the id of the batch that the report describes.
func (r Report) Batch() string { return r.BatchID }

// Check returns an error if the report or its batch id is missing.
func (r Report) Check() error {
	if r.Report == nil {
		return errors.New("record: no report")
	}
	return checkBatch(r.BatchID)
}

// Names returns how many phone numbers the entries of the report contain, duplicates included.
func (r Report) Names() int {
	names := 0
	for i := range r.Entries {
		names += len(r.Entries[i].Recipients)
	}
	return names
}

// Named returns the phone numbers in entry i of the report. It returns false if there is no entry i.
func (r Report) Named(i int) ([]string, bool) {
	if i >= len(r.Entries) {
		return nil, false
	}
	return r.Entries[i].Recipients, true
}

// Restrict returns a copy of the report with only the phone numbers at the positions from <= i < to, counted over all
// entries. The copy keeps all message counts and shares the body.
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

// between returns numbers[from:to]. An index outside the slice counts as the nearer end of the slice.
func between(numbers []string, from, to int) []string {
	from, to = min(max(from, 0), len(numbers)), min(max(to, 0), len(numbers))
	return numbers[from:to:to]
}

// RawBytes returns the body itself, not a copy.
func (r Report) RawBytes() []byte { return r.Raw }

// WithRaw returns a copy of the report with raw as its body.
func (r Report) WithRaw(raw []byte) Entry {
	r.Raw = raw
	return r
}
