package relaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// The ids of a service plan and of a batch, and the phone numbers of two recipients, that most tests of the relay use.
const (
	PlanA  = "plan-a"
	Batch1 = "01K2QHBT0F9G2KSY7P3M1DQX8R"
	Ada    = "447700900118"
	Bob    = "447700900119"
)

// Harness is the environment of a test: a real store, an HTTP server in place of Sinch (Upstream), metrics and a log.
// Its methods fail the test on an error. New creates one.
type Harness struct {
	T        *testing.T
	Upstream *Upstream
	Store    *storetest.Failing
	Metrics  *metrics.Metrics // of PlanA
	Lines    *Lines
	Log      *slog.Logger // writes to Lines
	// Folded is called with the changes of each fold, unless it is nil.
	Folded atomic.Pointer[func([]store.Changes)]

	registry *prometheus.Registry
}

// New returns a Harness whose store and server are closed when the test ends. In the store, new feedback is due after
// one second, and reports count as missing if none arrives for one hour.
func New(t *testing.T) *Harness {
	t.Helper()
	h := &Harness{T: t, Upstream: NewUpstream(t), registry: prometheus.NewRegistry(), Lines: &Lines{}}
	policy := store.Policy{
		Coalesce:       time.Second,
		MissingReports: store.MissingReports{Silence: time.Hour, Grace: 10 * time.Minute},
	}
	s, err := boltstore.Open(t.Context(), boltstore.Config{
		Path: t.TempDir(), Policies: func(string) store.Policy { return policy },
		Observer: store.Observer{Folded: func(c []store.Changes) {
			if folded := h.Folded.Load(); folded != nil {
				(*folded)(c)
			}
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	h.Store = storetest.NewFailing(s)
	h.Metrics = metrics.New(h.registry, metrics.Config{Plans: []string{PlanA}})
	h.Log = slog.New(slog.NewJSONHandler(h.Lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return h
}

// Random returns 0.5. Use it as the source of random numbers in a Config, so that retry delays are the same in each
// run.
func Random() float64 { return 0.5 }

// Client returns a client of Sinch's API for the service plan with this id. Its requests go to h.Upstream, which stands
// in for Sinch.
func (h *Harness) Client(plan string) *sinch.Client {
	h.T.Helper()
	c, err := sinch.New(sinch.Config{
		Plan: plan, BaseURL: "http://sinch.test", Token: "a3f0c9d1e5b74c2f", Transport: h.Upstream.transport(h.T),
	})
	require.NoError(h.T, err)
	return c
}

// Advance moves the fake clock of the synctest bubble forward by d, and then waits until every other goroutine is
// blocked.
func (h *Harness) Advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Record stores an entry for a plan, such as a report, as if it arrived now. It blocks until the entry is durable.
func (h *Harness) Record(plan string, entry store.Entry) {
	h.T.Helper()
	require.NoError(h.T, h.Store.Record(h.T.Context(), store.Arrival{Plan: plan, At: store.Now(), Entry: entry}))
}

// RecordDelivered stores, for each phone number, a report that the batch was delivered to it. The reports have a fixed
// time in 2025.
func (h *Harness) RecordDelivered(plan, batchID string, numbers ...string) {
	h.T.Helper()
	for _, n := range numbers {
		h.RecordReport(plan, []byte(fmt.Sprintf(
			`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,`+
				`"code":0,"status":"Delivered","at":"2025-08-19T16:21:00.000Z"}`, batchID, n)))
	}
}

// RecordReport parses body, a callback of Sinch, and stores its report for the plan. The test fails if body is no valid
// callback.
func (h *Harness) RecordReport(plan string, body []byte) {
	h.T.Helper()
	c, err := dlr.Parse(body)
	require.NoError(h.T, err)
	h.Record(plan, store.Report{Report: c.Report, Raw: body, Source: store.FromCallback})
}

// BatchReport returns the JSON of a report that the batch was delivered to these phone numbers. If named is true it
// lists the numbers; otherwise it only says how many there are.
func BatchReport(batchID string, named bool, numbers ...string) []byte {
	entry := map[string]any{"code": 0, "status": "Delivered", "count": len(numbers)}
	if named {
		entry["recipients"] = numbers
	}
	b, _ := json.Marshal(map[string]any{
		"type": "delivery_report_sms", "batch_id": batchID, "total_message_count": len(numbers), "statuses": []any{entry},
	})
	return b
}

// RecordFlag stores whether the batch wants delivery feedback, as if the gateway (dlrloop's proxy) had seen the batch
// when it was sent.
func (h *Harness) RecordFlag(plan, batchID string, wanted bool) {
	h.T.Helper()
	h.Record(plan, store.BatchInfo{
		BatchID: batchID, FeedbackEnabled: wanted, CreatedAt: store.Now(), Source: store.FromGateway,
	})
}

// Batch returns a batch as it is in the store. The test fails if the store does not have the batch.
func (h *Harness) Batch(plan, batchID string) *store.Batch {
	h.T.Helper()
	b, err := h.Store.Batch(h.T.Context(), store.BatchKey{Plan: plan, BatchID: batchID})
	require.NoError(h.T, err)
	return b
}

// Recipient returns the recipient with this phone number in Batch1 of PlanA, as it is in the store. The test fails if
// there is none.
func (h *Harness) Recipient(number string) *store.Recipient {
	h.T.Helper()
	r, err := h.Store.Recipient(h.T.Context(), store.BatchKey{Plan: PlanA, BatchID: Batch1}, number)
	require.NoError(h.T, err)
	return r.Recipient
}

// Feedback returns the feedback state of the recipient with this phone number in Batch1 of PlanA. The test fails if
// there is no such recipient.
func (h *Harness) Feedback(number string) store.FeedbackState { return h.Recipient(number).Feedback }

// Stats returns the store's totals of a service plan. They are zero if the store has no batch of the plan.
func (h *Harness) Stats(plan string) store.PlanStats {
	h.T.Helper()
	stats, err := h.Store.Stats(h.T.Context())
	require.NoError(h.T, err)
	for _, s := range stats {
		if s.Plan == plan {
			return s
		}
	}
	return store.PlanStats{Plan: plan}
}

// Metric returns the value of the first counter or gauge with this name and these labels. name is without the prefix
// dlrloop_. labels are pairs of name and value; labels that are not given may have any value. The test fails if there
// is no such metric.
func (h *Harness) Metric(name string, labels ...string) float64 {
	h.T.Helper()
	families, err := h.registry.Gather()
	require.NoError(h.T, err)
	for _, f := range families {
		if f.GetName() != "dlrloop_"+name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			have := make(map[string]string)
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	h.T.Fatalf("no series %s %v", name, labels)
	return 0
}

// Run calls run in a new goroutine. The returned stop cancels the context of run, waits until run has returned, and
// fails the test if run returned an error. The end of the test calls stop, too.
func (h *Harness) Run(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(h.T.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(h.T, <-done)
	})
	h.T.Cleanup(stop)
	return stop
}

// Lines is an io.Writer that collects the lines of a JSON log. It is safe for concurrent use, so a test can read while
// others write. The zero value is ready to use.
type Lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer. It appends b to the log; the error is always nil.
func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all lines written so far.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// With returns the log lines with this message, decoded from JSON, in the order of writing. It returns nil if there are
// none.
func (l *Lines) With(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	d := json.NewDecoder(strings.NewReader(l.String()))
	for {
		var entry map[string]any
		if err := d.Decode(&entry); err == io.EOF {
			return found
		} else {
			require.NoError(t, err)
		}
		if entry["msg"] == message {
			found = append(found, entry)
		}
	}
}
