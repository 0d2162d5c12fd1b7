package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// retentionInterval is the interval between two rounds.
	retentionInterval = time.Minute
	// retentionStep is the number of batches that one call deletes, so that other work is not held up.
	retentionStep = 100
	// leaseDuration is the duration of the leader leases of retention and of the reconciler: after a crash, another
	// replica takes over that much later.
	leaseDuration = 30 * time.Second
)

// runRetention deletes old data from the store until ctx ends, and then returns nil. Events, and batches without a
// pending task, are deleted once they are older than store.retention. Events that all destinations have received are
// deleted once they are older than events.keep. If several processes share the store, only the holder of the leader
// lease deletes.
func (s *Server) runRetention(ctx context.Context) error {
	lease := s.leaderLease(store.LeaseRetention)
	ticker := time.NewTicker(leaseDuration / 6) // also renews the lease between two rounds
	defer ticker.Stop()
	var last time.Time
	for {
		round, err := s.retentionRound(ctx, lease, last)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "retention failed, will retry", slog.Any("error", err))
		}
		last = round
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// leaderLease returns the lease with the given name. Of the processes that share the store, only one can hold the lease
// at a time. If the store cannot be shared, this process always holds it.
func (s *Server) leaderLease(name string) *store.LeaderLease {
	cluster, _ := s.store.(store.Cluster)
	return &store.LeaderLease{Cluster: cluster, Name: name, Duration: leaseDuration}
}

// retentionRound deletes old batches and events, but only if this process holds the leader lease and at least
// retentionInterval has passed since the previous round began, at the time given as last. It returns the time when the
// new round began, or last if there was no new round.
func (s *Server) retentionRound(ctx context.Context, lease *store.LeaderLease, last time.Time) (time.Time, error) {
	begin := time.Now()
	before := begin.Add(-time.Duration(s.config.Store.Retention))
	for more := true; more && ctx.Err() == nil; {
		held, err := lease.Held(ctx, time.Now().UTC())
		if !held || begin.Sub(last) < retentionInterval {
			return last, err
		}
		if _, more, err = s.store.DeleteOlder(ctx, before, retentionStep); err != nil {
			return begin, err
		}
	}
	if ctx.Err() == nil {
		return begin, s.store.TrimEvents(ctx, begin.UTC().Add(-time.Duration(s.config.Events.Keep)))
	}
	return begin, nil
}
