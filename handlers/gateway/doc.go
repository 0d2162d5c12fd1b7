// Package gateway serves Sinch's API to applications as a reverse proxy. New returns the Gateway. It records the
// batches that Sinch's answers contain, completes sends, and records delivery feedback instead of passing it on.
// Package server imports gateway; gateway does not import webhook or api.
package gateway
