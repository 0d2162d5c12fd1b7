package feedback

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
)

// BenchmarkFeedback sends the feedback of b.N batches of one message to a Sinch that answers in 5 ms, with the default
// configuration. It reports the total time and the calls per second: "known" looks each batch up first, "all" does not.
//
//	go test ./relay/feedback -run - -bench Feedback -benchtime 20000x
func BenchmarkFeedback(b *testing.B) {
	for name, all := range map[string]bool{"known": false, "all": true} {
		b.Run(name, func(b *testing.B) {
			var calls, accepted atomic.Int64
			client := slowSinch(b, &calls, &accepted)
			policy := store.Policy{Coalesce: time.Second}
			s, err := boltstore.Open(b.Context(), boltstore.Config{
				Path: b.TempDir(), Policies: func(string) store.Policy { return policy },
			})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, s.Close()) })
			r, err := New(Config{Plans: []Plan{{ID: planA, Client: client, AllWanted: all}}}, s,
				metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{planA}}), slog.New(slog.DiscardHandler))
			require.NoError(b, err)
			reportAll(b, s, b.N)

			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			b.ResetTimer()
			go func() { done <- r.Run(ctx) }()
			for begun := time.Now(); accepted.Load() < int64(b.N) && time.Since(begun) < 5*time.Minute; {
				<-time.After(5 * time.Millisecond)
			}
			b.StopTimer()
			b.ReportMetric(float64(calls.Load())/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(b.Elapsed().Seconds(), "s")
			require.Equal(b, int64(b.N), accepted.Load())
			cancel()
			require.NoError(b, <-done)
		})
	}
}

// reportAll records the report of one message for each of n batches.
func reportAll(b *testing.B, s store.Store, n int) {
	b.Helper()
	const writers = 64
	done := make(chan error, writers)
	for writer := range writers {
		go func() {
			var err error
			for i := writer; i < n && err == nil; i += writers {
				body := fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":"batch-%d",`+
					`"recipient":"447700900118","code":0,"status":"Delivered","at":"2025-08-19T16:21:00.000Z"}`, i)
				var c dlr.Callback
				if c, err = dlr.Parse(body); err == nil {
					report := store.Report{Report: c.Report, Raw: body}
					err = s.Record(b.Context(), store.Arrival{Plan: planA, At: store.Now(), Entry: report})
				}
			}
			done <- err
		}()
	}
	for range writers {
		require.NoError(b, <-done)
	}
}

// slowSinch starts a Sinch that knows every batch and answers after 5 ms, and returns a client for it.
func slowSinch(b *testing.B, calls, accepted *atomic.Int64) *sinch.Client {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(5 * time.Millisecond)
		if r.Method == http.MethodPost {
			accepted.Add(1)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		_, _ = fmt.Fprintf(w, `{"id":%q,"to":["447700900118"],"feedback_enabled":true,`+
			`"created_at":"2025-08-19T16:20:05.118Z"}`, id)
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	client, err := sinch.New(sinch.Config{Plan: planA, BaseURL: "http://" + l.Addr().String(), Token: "a3f0c9d1e5b74c2f"})
	require.NoError(b, err)
	b.Cleanup(client.CloseIdleConnections)
	return client
}
