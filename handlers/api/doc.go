// Package api serves the private listener: the API, its document, the start page, the metrics and the health checks.
// New returns its handler. It reads the store, registers batches and requeues dead feedback. Package server imports
// api; api does not import webhook or gateway.
package api
