package storetest

import (
	"os"
	"slices"
	"testing"

	"github.com/dlrloop/dlrloop/store"
)

// Config configures the store under test. A zero field selects the store's default.
type Config struct {
	Policies          store.Policies
	Observer          store.Observer
	QuarantineEntries int // limit of the quarantine
}

// Place opens the store under test. A call after Close opens the same store again, with its data.
type Place func(t *testing.T, c Config) store.Store

// long makes some tests larger. The environment variable DLRLOOP_LONG sets it.
var long = os.Getenv("DLRLOOP_LONG") != ""

// Run runs the suite in parallel subtests, which end after Run returns and before the cleanup of t. newPlace returns
// the Place of a new, empty store and registers the cleanup of that store with t.
func Run(t *testing.T, newPlace func(t *testing.T) Place) {
	foreignCursor := behavior{"a cursor of another store is refused", func(t *testing.T, place Place) {
		eventsForeignCursor(t, place, newPlace(t))
	}}
	run(t, newPlace, []subject{
		{"Record", recording},
		{"Parts", partial},
		{"Reads", reading},
		{"Lists", listing},
		{"Paging", paging},
		{"Claim", claiming},
		{"Settle", settling},
		{"WholeBatch", wholeBatch},
		{"MissingReports", missingReports},
		{"Retention", retaining},
		{"Inbound", inbound},
		{"Events", append(slices.Clip(events), foreignCursor)},
		{"Destinations", destinations},
		{"Erase", erasing},
		{"Concurrency", concurrency},
		{"Lifecycle", lifecycle},
		{"Model", models},
	})
}

// RunCluster runs the tests of a store that implements store.Cluster. The parameters and subtests are as for Run.
func RunCluster(t *testing.T, newPlace func(t *testing.T) Place) {
	run(t, newPlace, []subject{{"Cluster", cluster}})
}

func run(t *testing.T, newPlace func(t *testing.T) Place, subjects []subject) {
	for _, subject := range subjects {
		t.Run(subject.name, func(t *testing.T) {
			t.Parallel()
			for _, b := range subject.tests {
				t.Run(b.name, func(t *testing.T) {
					t.Parallel()
					b.test(t, newPlace(t))
				})
			}
		})
	}
}

// subject is a part of the contract of package store, with one test for each of its rules.
type subject struct {
	name  string
	tests []behavior
}

// behavior is one rule of the contract of package store, and the test of this rule.
type behavior struct {
	name string
	test func(*testing.T, Place)
}
