//go:build unix

package boltstore

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// BenchmarkRecord records recipient reports, each of another recipient, from 256 goroutines, and folds them. The figure
// cpu-µs/op is the time of all processors per report.
func BenchmarkRecord(b *testing.B) {
	for name, p := range map[string]store.Policy{
		"off": {}, "events": {Events: true}, "callbacks": {Events: true, KeepCallbacks: true},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(b.Context(), Config{Path: b.TempDir(), Policies: func(string) store.Policy { return p }})
			if err != nil {
				b.Fatal(err)
			}
			var arrivals []store.Arrival
			for i := range b.N {
				a := delivered(fmt.Sprintf("01FC66621XXXXX119Z8PM%05d", i/20), fmt.Sprint(447700000000+i))
				a.At = noon.Add(time.Duration(i) * time.Millisecond)
				arrivals = append(arrivals, a)
			}
			var before, after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			b.ResetTimer()
			var all sync.WaitGroup
			const loaders = 256
			for g := range loaders {
				all.Go(func() {
					for i := g; i < b.N; i += loaders {
						if err := s.Record(b.Context(), arrivals[i]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			if _, err := s.Stats(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(s.Gauges().SizeBytes-s.journal.Size())/float64(b.N), "db-bytes/op")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
