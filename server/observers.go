package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// watch tells all of several observers.
func watch(observers ...store.Observer) store.Observer {
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

// requeued tells the relay what a person requeued.
func (s *Server) requeued() store.Observer {
	return store.Observer{Folded: func(c []store.Changes) {
		if r := s.relay.Load(); r != nil {
			r.Folded(c)
		}
	}}
}

// failedEvery is how often the failure of one operation is logged: a full disk fails them all. The metrics count every one.
const failedEvery = 5 * time.Second

// logged is what of the store's doings a person should read.
func logged(log *slog.Logger) store.Observer {
	var (
		mu   sync.Mutex
		last = make(map[string]time.Time) // by operation
	)
	return store.Observer{
		Failed: func(operation string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if time.Since(last[operation]) < failedEvery {
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
				level = slog.LevelWarn // what was never sent is gone for good now
			}
			log.Log(context.Background(), level, "old batches deleted", slog.String("plan", plan),
				slog.Int("batches", batches), slog.Int("dead_recipients", dead))
		},
	}
}
