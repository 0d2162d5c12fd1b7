package store

import (
	"errors"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
)

// Report is a delivery report together with the body that it was parsed from.
type Report struct {
	*dlr.Report
	Raw    []byte // the body as received
	Source Source // FromCallback or FromPoll
}

// Batch implements Entry: it returns the batch id.
func (r Report) Batch() string { return r.BatchID }

// Check implements Entry: it returns an error if r.Report is nil or its batch id is empty.
func (r Report) Check() error {
	if r.Report == nil {
		return errors.New("record: no report")
	}
	return checkBatch(r.BatchID)
}

// Names implements Entry: it counts the phone numbers in all entries of the report, duplicates included.
func (r Report) Names() int {
	names := 0
	for i := range r.Entries {
		names += len(r.Entries[i].Recipients)
	}
	return names
}

// Named implements Entry: it returns the phone numbers in entry i of the report.
func (r Report) Named(i int) ([]string, bool) {
	if i >= len(r.Entries) {
		return nil, false
	}
	return r.Entries[i].Recipients, true
}

// Restrict implements Entry: the copy names only the phone numbers at the positions from <= i < to, counted over all
// entries of the report. It keeps the message counts and shares Raw with r.
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

// between returns numbers[from:to]. A bound outside the slice is first moved to the nearer end of the slice.
func between(numbers []string, from, to int) []string {
	from, to = min(max(from, 0), len(numbers)), min(max(to, 0), len(numbers))
	return numbers[from:to:to]
}

// RawBytes implements Entry: it returns Raw itself, not a copy.
func (r Report) RawBytes() []byte { return r.Raw }

// WithRaw implements Entry: it returns a copy of r with raw as its body.
func (r Report) WithRaw(raw []byte) Entry {
	r.Raw = raw
	return r
}
