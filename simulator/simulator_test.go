package simulator

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestNewErrors(t *testing.T) {
	good := Plan{ID: "p", Token: "t"}
	for text, c := range map[string]Config{
		"at least one":               {},
		"plans[0]: id":               {Plans: []Plan{{Token: "t"}}},
		"one non-empty path":         {Plans: []Plan{{ID: "a/b", Token: "t"}}},
		"token":                      {Plans: []Plan{{ID: "p"}}},
		"callback url":               {Plans: []Plan{{ID: "p", Token: "t", CallbackURL: "ftp://x"}}},
		`plans[1]: duplicate id "p"`: {Plans: []Plan{good, good}},
		"look like a number":         {Plans: []Plan{{ID: "p", Token: "t", Groups: map[string][]string{"12345": nil}}}},
		"must be a phone number":     {Plans: []Plan{{ID: "p", Token: "t", Groups: map[string][]string{"g": {"x"}}}}},
		"must not be negative":       {Plans: []Plan{good}, Pace: -1},
		"speed must be":              {Plans: []Plan{good}, Speed: -1},
		"at least 1, or 0":           {Plans: []Plan{good}, Speed: math.Inf(1)},
		"requests per second":        {Plans: []Plan{good}, RequestsPerSecond: -1},
		"between 0 and 100000":       {Plans: []Plan{good}, RequestsPerSecond: math.NaN()},
		"a sender must not be empty": {Plans: []Plan{{ID: "p", Token: "t", Originators: []string{""}}}},
		"late: a probability":        {Plans: []Plan{good}, Anomalies: Anomalies{Late: 1.5}},
		"late by and latency":        {Plans: []Plan{good}, Anomalies: Anomalies{LateBy: -1}},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, text)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	p := Plan{ID: "p", Token: "hush", Secret: "hush"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "plan", p)
	require.NotContains(t, fmt.Sprint(p)+fmt.Sprintf("%+v", p)+log.String(), "hush")
}

func TestLogsMaskNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		u := newCustomer(t,
			Config{
				Calm:   true,
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
		u.answer = func(int, post) int { return 400 }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- u.sim.Run(ctx) }()
		u.send(map[string]any{"to": numbers(1), "delivery_report": "per_recipient_final", "feedback_enabled": true})
		u.settle()
		stop()
		require.NoError(t, <-done)
		require.Contains(t, log.String(), "recipient=*********00 status=Delivered attempt=1 answer=400")
		require.Contains(t, log.String(), `level=WARN msg="callback given up"`)
		require.NotContains(t, log.String(), "12025550000")
		require.NotContains(t, log.String(), testToken)
	})
}

func TestObserversReceiveEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		u.answer = func(n int, _ post) int { return []int{503, 404}[n-1] }
		var mu sync.Mutex
		var entries []ledger.Entry
		u.sim.Observe(func(e ledger.Entry) {
			_ = u.sim.State() // an observer may call the Simulator
			mu.Lock()
			defer mu.Unlock()
			entries = append(entries, e)
		})
		u.run()
		id := u.send(map[string]any{
			"to": numbers(1), "delivery_report": "per_recipient_final",
			"feedback_enabled": true,
		})
		u.settle()
		require.NoError(t, u.sim.SetFault(fault.Fault{Kind: fault.AppliedBut500}))
		u.feedback(id, numbers(1)...)
		mu.Lock()
		defer mu.Unlock()
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		callback := ledger.Entry{
			Plan: testPlan, Batch: id, Type: "recipient_delivery_report_sms", Callback: 1, Recipient: "12025550000",
			Status: "Delivered",
		}
		first, second, gaveUp := callback, callback, callback
		first.Kind, first.Attempt, first.Answer = ledger.CallbackAnswered, 1, 503
		second.Kind, second.Attempt, second.Answer = ledger.CallbackAnswered, 2, 404
		gaveUp.Kind = ledger.CallbackGaveUp
		want := []ledger.Entry{
			{Kind: ledger.BatchSent, Plan: testPlan, Batch: id, Count: 1},
			first, second, gaveUp,
			{
				Kind: ledger.FaultInjected, Plan: testPlan, Batch: id, Operation: fault.OpFeedback, Answer: 500,
				Fault: fault.AppliedBut500,
			},
			{
				Kind: ledger.FeedbackReceived, Plan: testPlan, Batch: id, Operation: fault.OpFeedback, Answer: 500,
				Fault: fault.AppliedBut500, Count: 1, Applied: true,
			},
		}
		for i := range entries {
			require.False(t, entries[i].At.Before(start))
			entries[i].At = time.Time{}
		}
		require.Equal(t, want, entries)
	})
}

// TestOverRealSockets runs many batches and calls concurrently over TCP. Every callback must be acknowledged and
// every goroutine must end.
func TestOverRealSockets(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	var got atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := got.Add(1); n%97 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	s, err := New(Config{
		Plans: []Plan{
			{ID: "a", Token: "t", CallbackURL: receiver.URL, Secret: "s"},
			{ID: "b", Token: "t", CallbackURL: receiver.URL},
		},
		Seed:      1,
		Pace:      time.Millisecond,
		RetryUnit: time.Millisecond,
		Anomalies: Anomalies{Upstream: -1},
	})
	require.NoError(t, err)
	api := httptest.NewServer(s.API())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	var senders sync.WaitGroup
	body := string(xms.Encode(map[string]any{
		"to": numbers(250), "from": "ACME", "body": "x",
		"delivery_report": "per_recipient",
	}))
	for i := range 8 {
		senders.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, api.URL+"/xms/v1/"+"ab"[i%2:i%2+1]+"/batches",
				strings.NewReader(body))
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer t")
			req.Header.Set("Content-Type", "application/json")
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		})
	}
	senders.Wait()
	require.Equal(t, 8, s.State().Batches)
	require.Eventually(t, s.Settled, 2*time.Minute, 5*time.Millisecond)
	stop()
	require.NoError(t, <-done)

	state := s.State()
	require.Equal(t, state.Callbacks, state.Acknowledged)
	require.EqualValues(t, got.Load(), state.Attempts)
	require.Greater(t, state.Attempts, state.Callbacks)
	for _, b := range s.Ledger().Batches {
		for _, r := range b.Recipients {
			require.True(t, r.Final)
		}
	}
	api.Close()
	receiver.Close()
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, leaks)
}

func BenchmarkCallbacks(b *testing.B) {
	batches := (b.N + 999) / 1000
	var got atomic.Int64
	all := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if got.Add(1) == int64(1000*batches) {
			close(all)
		}
	}))
	defer receiver.Close()
	s, err := New(Config{
		Calm: true, Pace: time.Nanosecond,
		Plans: []Plan{{ID: "a", Token: "t", CallbackURL: receiver.URL, Secret: "s"}},
	})
	require.NoError(b, err)
	body := xms.Encode(map[string]any{
		"to": numbers(1000), "from": "ACME", "body": "x", "delivery_report": "per_recipient_final",
	})
	for range batches {
		r := httptest.NewRequest(http.MethodPost, "/xms/v1/a/batches", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer t")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.API().ServeHTTP(w, r)
		require.Equal(b, http.StatusCreated, w.Code)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { done <- s.Run(ctx) }()
	<-all
	b.StopTimer()
	b.ReportMetric(float64(got.Load())/b.Elapsed().Seconds(), "callbacks/s")
	stop()
	require.NoError(b, <-done)
}
