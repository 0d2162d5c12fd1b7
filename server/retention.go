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
)

// retire deletes what is older than the retention, little by little, until ctx ends.
func (s *Server) retire(ctx context.Context) error {
	ticker := time.NewTicker(retireEvery)
	defer ticker.Stop()
	for {
		if err := s.retireOnce(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "retention failed, will try again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *Server) retireOnce(ctx context.Context) error {
	before := time.Now().Add(-time.Duration(s.config.Store.Retention))
	for more := true; more && ctx.Err() == nil; {
		var err error
		if _, more, err = s.store.Expire(ctx, before, retireStep); err != nil {
			return err
		}
	}
	return nil
}
