package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// combine returns an Observer that calls each of observers in order.
func combine(observers ...store.Observer) store.Observer {
	return store.Observer{
		Committed: func(arrivals, bytes int, took time.Duration, err error) {
			for _, o := range observers {
				if o.Committed != nil {
					o.Committed(arrivals, bytes, took, err)
				}
			}
		},
		Folded: func(c []store.Changes) {
			for _, o := range observers {
				if o.Folded != nil {
					o.Folded(c)
				}
			}
		},
		Failed: func(operation string, err error) {
			for _, o := range observers {
				if o.Failed != nil {
					o.Failed(operation, err)
				}
			}
		},
		Evicted: func(entries int) {
			for _, o := range observers {
				if o.Evicted != nil {
					o.Evicted(entries)
				}
			}
		},
		Expired: func(plan string, batches, dead int) {
			for _, o := range observers {
				if o.Expired != nil {
					o.Expired(plan, batches, dead)
				}
			}
		},
	}
}

// relayObserver returns an Observer that passes requeued feedback to the relay.
func (s *Server) relayObserver() store.Observer {
	return store.Observer{Folded: func(c []store.Changes) {
		if r := s.relay.Load(); r != nil {
			r.Folded(c)
		}
	}}
}

// failureLogInterval is the minimum interval between two log lines about the same operation: a full disk fails every
// call. The metrics count each failure.
const failureLogInterval = 5 * time.Second

// logObserver returns an Observer that logs failures and deletions of the store.
func logObserver(log *slog.Logger) store.Observer {
	var (
		mu   sync.Mutex
		last = make(map[string]time.Time) // by operation
	)
	return store.Observer{
		Failed: func(operation string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if time.Since(last[operation]) < failureLogInterval {
				return
			}
			last[operation] = time.Now()
			log.Error("store failed", slog.String("operation", operation), slog.Any("error", err))
		},
		Evicted: func(entries int) {
			log.Warn("quarantine is full, its oldest entries were deleted", slog.Int("entries", entries))
		},
		Expired: func(plan string, batches, dead int) {
			level := slog.LevelInfo
			if dead > 0 {
				level = slog.LevelWarn // dead feedback was deleted unsent
			}
			log.Log(context.Background(), level, "old batches deleted", slog.String("plan", plan),
				slog.Int("batches", batches), slog.Int("dead_recipients", dead))
		},
	}
}
