package store

// ReportFetched records that the reconciler, which fetches missing reports from Sinch, has fetched the report of a
// batch, and schedules the next fetch. Record the fetched Report first. While Batch.Fetch is not due, a ReportFetched
// has no effect, so recording one twice is safe.
type ReportFetched struct {
	BatchID string
	// Refused is the reason why Sinch will never return a report for this batch; empty otherwise.
	Refused string
}

// Batch implements Entry: it returns the batch id.
func (c ReportFetched) Batch() string { return c.BatchID }

// Check implements Entry: it returns an error if BatchID is empty.
func (c ReportFetched) Check() error { return checkBatch(c.BatchID) }

// Names implements Entry: it returns 0, because a ReportFetched names no recipient.
func (ReportFetched) Names() int { return 0 }

// Named implements Entry: it returns false, because a ReportFetched names no recipient.
func (ReportFetched) Named(int) ([]string, bool) { return nil, false }

// Restrict implements Entry: it returns c unchanged, because a ReportFetched names no recipient.
func (c ReportFetched) Restrict(_, _ int) Entry { return c }

// RawBytes implements Entry: it returns nil, because a ReportFetched has no body from a callback.
func (ReportFetched) RawBytes() []byte { return nil }

// WithRaw implements Entry: it returns c unchanged, because a ReportFetched has no body from a callback.
func (c ReportFetched) WithRaw([]byte) Entry { return c }
