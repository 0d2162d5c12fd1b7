package boltstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// deadEvents returns n dead events with rising ids.
func deadEvents(n int) (all []store.DeferredEvent) {
	for i := range n {
		all = append(all, store.DeferredEvent{
			ID: int64(i + 1), Dead: true, Since: noon, Reason: store.DeliveryGaveUp,
			Event: store.Event{Type: store.RecipientStatus, At: noon, Plan: "plan", BatchID: "batch", Number: "1"},
		})
	}
	return all
}

// destinationOf returns the only destination.
func destinationOf(t *testing.T, s *Store) store.Destination {
	t.Helper()
	all, err := s.Destinations(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

// More events than one transaction may change.
func TestManyDeadEvents(t *testing.T) {
	const many = 2*retentionStep + 7
	s := opened(t, Config{Path: t.TempDir()})
	epoch, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{Put: deadEvents(many)})
	require.NoError(t, err)
	n, err := s.RequeueEvents(t.Context(), "app", noon.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, many, n)
	d := destinationOf(t, s)
	require.Equal(t, []int{many, 0}, []int{d.Deferred, d.Dead})
	require.Greater(t, d.Epoch, epoch)

	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: d.Epoch, Put: deadEvents(many)})
	require.NoError(t, err)
	_, _, err = s.DeleteOlder(t.Context(), noon, 1)
	require.NoError(t, err)
	require.Equal(t, many, destinationOf(t, s).Dead, "noon is not earlier than noon")
	_, _, err = s.DeleteOlder(t.Context(), noon.Add(1), 1)
	require.NoError(t, err)
	require.Zero(t, destinationOf(t, s).Dead)

	d = destinationOf(t, s)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: d.Epoch, Put: deadEvents(many)})
	require.NoError(t, err)
	require.NoError(t, s.DeleteDestination(t.Context(), "app"))
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		require.Zero(t, tx.Bucket(schema.BucketDeferred).Stats().KeyN)
		require.Zero(t, tx.Bucket(schema.BucketDestinations).Stats().KeyN)
		return nil
	}))
}

// A change that was prepared before the destination was deleted and created again must not be stored.
func TestEpochRisesAfterADestinationIsDeleted(t *testing.T) {
	path := t.TempDir()
	s := opened(t, Config{Path: path})
	epoch, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{})
	require.NoError(t, err)
	require.NoError(t, s.DeleteDestination(t.Context(), "app"))
	require.NoError(t, s.Close())
	s = opened(t, Config{Path: path})
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{})
	require.NoError(t, err)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: epoch})
	require.ErrorIs(t, err, store.ErrConflict)
}

func TestDestinationsAfterClose(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	require.NoError(t, s.Close())
	_, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{})
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = s.Destinations(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, s.TrimEvents(t.Context(), noon), store.ErrClosed)
	require.ErrorIs(t, s.DeleteDestination(t.Context(), "app"), store.ErrClosed)
}
