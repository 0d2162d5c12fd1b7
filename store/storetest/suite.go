package storetest

import (
	"testing"

	"github.com/dlrloop/dlrloop/store"
)

// Config is what the suite asks of a store. Zero members mean the store's default.
type Config struct {
	Policies          store.Policies
	Observer          store.Observer
	QuarantineEntries int // most entries kept
}

// Place is where one store keeps its data. It opens the store there; after a Close it opens it again with what it had.
type Place func(t *testing.T, c Config) store.Store

// Run runs the suite. newPlace gives a place that nobody has used before, and cleans up after the test.
func Run(t *testing.T, newPlace func(t *testing.T) Place) {
	for _, subject := range []struct {
		name  string
		tests []behaviour
	}{
		{"Record", recording},
		{"Divided", dividing},
		{"Reads", reading},
		{"Lists", listing},
		{"Paging", paging},
		{"Claim", claiming},
		{"Settle", settling},
		{"Everyone", forEveryone},
		{"Overdue", overdue},
		{"Expire", expiring},
		{"Concurrency", concurrency},
		{"Duties", duties},
		{"Life", life},
		{"Model", models},
	} {
		t.Run(subject.name, func(t *testing.T) {
			for _, b := range subject.tests {
				t.Run(b.name, func(t *testing.T) {
					t.Parallel()
					b.test(t, newPlace(t))
				})
			}
		})
	}
}

// behaviour is one sentence of the contract and its test.
type behaviour struct {
	name string
	test func(*testing.T, Place)
}
