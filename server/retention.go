package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// retireEvery is how often old batches are looked for.
	retireEvery = time.Minute
	// retireStep is how many batches go before others get their turn.
	retireStep = 100
	// retireLease is for how long one replica does it at a time: when it dies another takes over so much later.
	retireLease = 30 * time.Second
)

// retire deletes what is older than the retention, little by little, until ctx ends. Of the replicas that share a store one does it.
func (s *Server) retire(ctx context.Context) error {
	duty := &store.Duty{Store: s.store, Name: store.DutyRetire, Lease: retireLease}
	ticker := time.NewTicker(retireLease / 6) // also to keep the duty between two rounds
	defer ticker.Stop()
	var last time.Time
	for {
		round, err := s.retireOnce(ctx, duty, last)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "retention failed, will try again", slog.Any("error", err))
		}
		last = round
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// retireOnce does a round if it is this replica's duty and time for one, and returns when the last round began.
func (s *Server) retireOnce(ctx context.Context, duty *store.Duty, last time.Time) (time.Time, error) {
	begin := time.Now()
	before := begin.Add(-time.Duration(s.config.Store.Retention))
	for more := true; more && ctx.Err() == nil; {
		held, err := duty.Held(ctx, time.Now().UTC())
		if !held || begin.Sub(last) < retireEvery {
			return last, err
		}
		if _, more, err = s.store.Expire(ctx, before, retireStep); err != nil {
			return begin, err
		}
	}
	return begin, nil
}
