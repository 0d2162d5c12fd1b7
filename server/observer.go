package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// observer returns the functions that the store calls after commits, changes, failures and deletions. They update the
// metrics and the log, and pass changes to the feedback relay and to Options.Folded.
func (s *Server) observer() store.Observer {
	counted, failed := s.metrics.Observer(), newFailureLog(s.log)
	return store.Observer{
		Committed: counted.Committed,
		Folded: func(c []store.Changes) {
			counted.Folded(c)
			if r := s.relay.Load(); r != nil {
				r.Folded(c)
			}
			if s.options.Folded != nil {
				s.options.Folded(c)
			}
		},
		Failed: func(operation string, err error) {
			counted.Failed(operation, err)
			failed.log(operation, err)
		},
		Evicted: func(entries int) {
			counted.Evicted(entries)
			s.log.Warn("quarantine is full, its oldest entries were deleted", slog.Int("entries", entries))
		},
		Deleted: func(plan string, batches, dead int) {
			counted.Deleted(plan, batches, dead)
			level := slog.LevelInfo
			if dead > 0 {
				level = slog.LevelWarn // dead feedback was deleted unsent
			}
			s.log.Log(context.Background(), level, "old batches deleted", slog.String("plan", plan),
				slog.Int("batches", batches), slog.Int("dead_recipients", dead))
		},
	}
}

// failureLogInterval is the minimum time between two log lines about failures of the same operation of the store.
// Without it, a full disk would cause a line for every callback.
const failureLogInterval = 5 * time.Second

// failureLog logs the store's failures, at most one line per operation of the store in each failureLogInterval. It is
// safe for concurrent use.
type failureLog struct {
	to *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time // by operation; guarded by mu
}

func newFailureLog(to *slog.Logger) *failureLog {
	return &failureLog{to: to, last: make(map[string]time.Time)}
}

func (f *failureLog) log(operation string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.last[operation]) < failureLogInterval {
		return
	}
	f.last[operation] = time.Now()
	f.to.Error("store failed", slog.String("operation", operation), slog.Any("error", err))
}
