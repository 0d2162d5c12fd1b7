package pgstore

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// retry calls do until it succeeds, fails for good, has failed maxTries times, or ctx ends, and returns the last
// result of do. It repeats only retryable failures: those after which nothing is committed, such as a deadlock.
func retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if !retryable(err) || try == maxTries || ctx.Err() != nil {
			return err
		}
		pause(ctx, retryDelay(try))
	}
}

// retryDelay returns a random delay after failure number try, up to 256 ms. It is random so that the transactions
// that conflicted do not meet again.
func retryDelay(try int) time.Duration { return rand.N(time.Millisecond << min(try, 8)) }

// writing runs change in a transaction and commits it, and retries both after retryable failures. change may run
// several times and must overwrite its results each time.
func (s *Store) writing(ctx context.Context, change func(pgx.Tx) error) error {
	return retry(ctx, func() error { return s.write(ctx, change) })
}
