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

// runRetention deletes batches without a pending task, and events, that are older than the configured retention. It
// deletes an event after events.keep already if all destinations have received it. It blocks until ctx ends. If several
// processes share the store, only the one that holds the leader lease deletes.
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

// leaderLease returns the lease with this name, which one of the processes that share the store can hold at a time. If
// the store cannot be shared, this process always holds it.
func (s *Server) leaderLease(name string) *store.LeaderLease {
	cluster, _ := s.store.(store.Cluster)
	return &store.LeaderLease{Cluster: cluster, Name: name, Duration: leaseDuration}
}

// retentionRound deletes old batches and events, but only if this process holds the leader lease and the last round
// began at least retentionInterval ago. It returns when the latest round began: now, or last if it may not delete now.
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
