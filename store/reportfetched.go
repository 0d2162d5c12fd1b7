package store

// ReportFetched records that the reconciler fetched the report of a batch whose Batch.Fetch was due, and schedules the
// next fetch. Record the fetched Report first. A ReportFetched that arrives while Batch.Fetch is not due has no effect,
// so recording one twice is safe.
type ReportFetched struct {
	BatchID string
	// Refused is the reason why Sinch will never return a report for this batch; empty otherwise.
	Refused string
}

// Batch returns the id of the batch whose report was fetched.
func (c ReportFetched) Batch() string { return c.BatchID }

// Check returns an error if BatchID is empty.
func (c ReportFetched) Check() error { return checkBatch(c.BatchID) }

// Names returns 0: a ReportFetched names no recipient.
func (ReportFetched) Names() int { return 0 }

// Named returns false: a ReportFetched names no recipient.
func (ReportFetched) Named(int) ([]string, bool) { return nil, false }

// Restrict returns c itself.
func (c ReportFetched) Restrict(_, _ int) Entry { return c }

// RawBytes returns nil: a ReportFetched carries no received body.
func (ReportFetched) RawBytes() []byte { return nil }

// WithRaw returns c unchanged: this type has no raw bytes.
func (c ReportFetched) WithRaw([]byte) Entry { return c }
