package pgstore

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// retry calls do until do succeeds, ctx ends or do has failed maxTries times, and returns the last result of do. It
// calls do again only after retryable failures: those after which nothing is committed, such as a deadlock.
func retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if !retryable(err) || try == maxTries || ctx.Err() != nil {
			return err
		}
		pause(ctx, retryDelay(try))
	}
}

// retryDelay returns how long to wait after failure number try: a random time up to 256 ms, so that transactions that
// conflicted do not conflict again.
func retryDelay(try int) time.Duration { return rand.N(time.Millisecond << min(try, 8)) }

// writing runs change in a transaction and commits it, and repeats both after retryable failures. change may run
// several times, so each run must overwrite the results of the previous one.
func (s *Store) writing(ctx context.Context, change func(pgx.Tx) error) error {
	return retry(ctx, func() error { return s.write(ctx, change) })
}
