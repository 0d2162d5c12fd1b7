// Package commit makes queued arrivals durable in groups, so that all callers that wait share the cost of one sync.
//
// New starts a Committer. Committer.Record queues one arrival and blocks until its group is durable. The store that
// starts the Committer supplies the function that makes a group durable.
//
// The package imports only package store, for its errors. The stores import it, and the packages that configure a
// store.
package commit
