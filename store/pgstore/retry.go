package pgstore

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// again does what the database may undo for others' sake until it is done.
func again(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if !undone(err) || try == tries || ctx.Err() != nil {
			return err
		}
		pause(ctx, backoff(try))
	}
}

// backoff is how long to wait after a try: none knows of the others that it meets.
func backoff(try int) time.Duration { return rand.N(time.Millisecond << min(try, 8)) }

// writing runs a transaction that changes rows, again when it was undone. What change fills it fills anew each time.
func (s *Store) writing(ctx context.Context, change func(pgx.Tx) error) error {
	return again(ctx, func() error { return s.write(ctx, change) })
}
