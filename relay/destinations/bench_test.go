package destinations

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// BenchmarkDeliver delivers events of 1000 batches to an HTTP server of the same process, from a log in memory.
func BenchmarkDeliver(b *testing.B) {
	for _, most := range []int{1, 100} {
		b.Run(fmt.Sprintf("max_events=%d", most), func(b *testing.B) {
			var got atomic.Int64
			done := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				n := int64(1)
				if body[0] == '[' {
					_, _ = fmt.Sscanf(r.Header.Get("Webhook-Id")[31:], "%d", &n)
				}
				if got.Add(n) == int64(b.N) {
					close(done)
				}
			}))
			defer server.Close()
			log := newEventLog(b)
			m := metrics.New(prometheus.NewRegistry(), metrics.Config{Destinations: []string{"app"}})
			d, err := New(Config{Destinations: []Destination{{
				Name: "app", URL: server.URL, Secrets: []string{secret1}, MaxEvents: most,
			}}}, log, m, slog.New(slog.DiscardHandler))
			require.NoError(b, err)
			require.NoError(b, d.Prepare(b.Context()))
			for i := range b.N {
				log.append(store.Event{
					Type: store.RecipientStatus, At: store.Now(), Plan: planA, BatchID: fmt.Sprint(i % 1000),
					Version: int64(i + 1), Number: "447700900118", State: dlr.State{Status: dlr.Delivered},
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()
			<-done
			b.StopTimer()
			stop()
			require.NoError(b, <-ended)
		})
	}
}
