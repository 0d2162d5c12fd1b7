package store

// ReportFetched records that the reconciler fetched the report of a batch whose Check was due. The report itself was
// recorded before, as a Report. Recording a ReportFetched again has no effect: a Check that is not due at the time of
// arrival stays as it is.
type ReportFetched struct {
	BatchID string
	// Refused is the reason why Sinch will never return a report for this batch; empty otherwise.
	Refused string
}

// Batch returns the id of the checked batch.
func (c ReportFetched) Batch() string { return c.BatchID }

// Check returns an error if the batch id is missing.
func (c ReportFetched) Check() error { return checkBatch(c.BatchID) }

// Names returns 0.
func (ReportFetched) Names() int { return 0 }

// Named returns no list.
func (ReportFetched) Named(int) ([]string, bool) { return nil, false }

// Restrict returns c itself.
func (c ReportFetched) Restrict(_, _ int) Entry { return c }

// RawBytes returns nil.
func (ReportFetched) RawBytes() []byte { return nil }

// WithRaw returns c itself.
func (c ReportFetched) WithRaw([]byte) Entry { return c }
