// Package ledger describes what the simulator has accepted, sent and injected, so that a test can compare a customer's
// software with the record: Ledger is the whole record, Call one API call, and Entry one thing as it happens. Its entry
// points are Ledger.MissingFeedback and Ledger.UnearnedFeedback. It imports only simulator/fault; the simulator's
// packages and tests that read the ledger import it.
package ledger
