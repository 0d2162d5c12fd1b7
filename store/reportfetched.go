package store

// ReportFetched records that dlrloop fetched the missing reports of a batch from Sinch, and schedules the next fetch.
// Record the fetched Report first. While no fetch of the batch is due, a ReportFetched has no effect.
type ReportFetched struct {
	BatchID string
	// Refused is the reason why Sinch will never return a report for this batch; empty otherwise.
	Refused string
}

// Batch returns the id of the batch.
func (c ReportFetched) Batch() string { return c.BatchID }

// Check returns an error if BatchID is empty.
func (c ReportFetched) Check() error { return checkBatch(c.BatchID) }

// Names returns 0, because a ReportFetched names no recipient.
func (ReportFetched) Names() int { return 0 }

// Named returns false, because a ReportFetched names no recipient.
func (ReportFetched) Named(int) ([]string, bool) { return nil, false }

// Restrict returns the ReportFetched unchanged, because it names no recipient.
func (c ReportFetched) Restrict(_, _ int) Entry { return c }

// RawBytes returns nil, because a ReportFetched carries no callback body.
func (ReportFetched) RawBytes() []byte { return nil }

// WithRaw returns the ReportFetched unchanged, because it carries no callback body.
func (c ReportFetched) WithRaw([]byte) Entry { return c }
