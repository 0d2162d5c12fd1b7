package store

import (
	"errors"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
)

// Report is a delivery report with its raw bytes.
type Report struct {
	*dlr.Report
	Raw    []byte
	Source Source // FromCallback or FromPoll
}

// Batch returns the id of the report's batch.
func (r Report) Batch() string { return r.BatchID }

// Check returns an error if the report or its batch id is missing.
func (r Report) Check() error {
	if r.Report == nil {
		return errors.New("record: no report")
	}
	return checkBatch(r.BatchID)
}

// Names implements Entry.
func (r Report) Names() int {
	names := 0
	for i := range r.Entries {
		names += len(r.Entries[i].Recipients)
	}
	return names
}

// Named implements Entry: each entry has a list.
func (r Report) Named(i int) ([]string, bool) {
	if i >= len(r.Entries) {
		return nil, false
	}
	return r.Entries[i].Recipients, true
}

// Restrict implements Entry. The entries keep their counts and the report its raw bytes.
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

// RawBytes implements Entry.
func (r Report) RawBytes() []byte { return r.Raw }

// WithRaw implements Entry.
func (r Report) WithRaw(raw []byte) Entry {
	r.Raw = raw
	return r
}
