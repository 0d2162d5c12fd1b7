package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	planA  = "plan-a"
	batch1 = "01K2QHBT0F9G2KSY7P3M1DQX8R"
	ada    = "447700900118"
	bob    = "447700900119"
)

// harness is a relay with a real store and an upstream that it calls over real HTTP.
type harness struct {
	t        *testing.T
	upstream *upstream
	store    *storetest.Failing
	registry *prometheus.Registry
	metrics  *metrics.Metrics
	relay    *Relay
	observer atomic.Pointer[Relay] // the relay, read by the store's observer
	log      *lines
	stop     func() // ends Run and waits for it
}

// inBubble runs a test in a synctest bubble with a relay for plan A; change may alter its configuration.
func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, change)
		h.start()
		test(t, h)
	})
}

func newHarness(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	h := &harness{t: t, upstream: newUpstream(t), registry: prometheus.NewRegistry(), log: &lines{}}
	policy := store.Policy{Coalesce: time.Second, Missing: store.Missing{Silence: time.Hour, Grace: 10 * time.Minute}}
	s, err := boltstore.Open(t.Context(), boltstore.Config{
		Path: t.TempDir(), Policies: func(string) store.Policy { return policy },
		Observer: store.Observer{Folded: func(c []store.Changes) {
			if r := h.observer.Load(); r != nil {
				r.Folded(c)
			}
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	h.store = storetest.NewFailing(s)
	return h.buildRelay(change)
}

// newHarnessOn returns a second relay with the upstream and store of h, as after a restart.
func newHarnessOn(t *testing.T, h *harness, change func(*Config)) *harness {
	t.Helper()
	again := &harness{t: t, upstream: h.upstream, store: h.store, registry: prometheus.NewRegistry(), log: h.log}
	return again.buildRelay(change)
}

// buildRelay creates the relay of h; change may alter its configuration.
func (h *harness) buildRelay(change func(*Config)) *harness {
	h.t.Helper()
	c := Config{Plans: []Plan{{ID: planA}}, Rand: func() float64 { return 0.5 }}
	if change != nil {
		change(&c)
	}
	var names []string
	for i := range c.Plans {
		if c.Plans[i].Client == nil {
			c.Plans[i].Client = h.client(c.Plans[i].ID)
		}
		names = append(names, c.Plans[i].ID)
	}
	h.metrics = metrics.New(h.registry, metrics.Config{Plans: names})
	var err error
	log := slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.relay, err = New(c, h.store, h.metrics, log)
	require.NoError(h.t, err)
	h.observer.Store(h.relay)
	return h
}

func (h *harness) client(plan string) *sinch.Client {
	h.t.Helper()
	c, err := sinch.New(sinch.Config{
		Plan: plan, BaseURL: "http://sinch.test", Token: "a3f0c9d1e5b74c2f", Transport: h.upstream.transport(h.t),
	})
	require.NoError(h.t, err)
	return c
}

// start runs the relay until stop or the end of the test.
func (h *harness) start() {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.relay.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(h.t, <-done)
	})
	h.t.Cleanup(h.stop)
}

// advance moves the bubble's clock forward by d and waits until every goroutine is blocked.
func (h *harness) advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *harness) record(plan string, entry store.News) {
	h.t.Helper()
	require.NoError(h.t, h.store.Record(h.t.Context(), store.Arrival{Plan: plan, At: now(), News: entry}))
}

// recordDelivered records one recipient report with status Delivered for each number.
func (h *harness) recordDelivered(plan, batchID string, numbers ...string) {
	h.t.Helper()
	for _, n := range numbers {
		h.recordReport(plan, []byte(fmt.Sprintf(
			`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,`+
				`"code":0,"status":"Delivered","at":"2025-08-19T16:21:00.000Z"}`, batchID, n)))
	}
}

func (h *harness) recordReport(plan string, body []byte) {
	h.t.Helper()
	c, err := dlr.Parse(body)
	require.NoError(h.t, err)
	h.record(plan, store.Report{Report: c.Report, Raw: body, Source: store.FromCallback})
}

// batchReport returns a batch report with status Delivered for the numbers. Unless named is set it only counts them.
func batchReport(batchID string, named bool, numbers ...string) []byte {
	entry := map[string]any{"code": 0, "status": "Delivered", "count": len(numbers)}
	if named {
		entry["recipients"] = numbers
	}
	b, _ := json.Marshal(map[string]any{
		"type": "delivery_report_sms", "batch_id": batchID, "total_message_count": len(numbers), "statuses": []any{entry},
	})
	return b
}

// recordFlag records, as a gateway would, whether the batch wants feedback.
func (h *harness) recordFlag(plan, batchID string, wanted bool) {
	h.t.Helper()
	h.record(plan, store.Facts{BatchID: batchID, FeedbackEnabled: wanted, CreatedAt: now(), Source: store.FromGateway})
}

func (h *harness) batch(plan, batchID string) *store.Batch {
	h.t.Helper()
	b, err := h.store.Batch(h.t.Context(), store.BatchKey{Plan: plan, BatchID: batchID})
	require.NoError(h.t, err)
	return b
}

// feedback returns the feedback state of one recipient of batch1.
func (h *harness) feedback(number string) store.FeedbackState {
	h.t.Helper()
	r, err := h.store.Recipient(h.t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, number)
	require.NoError(h.t, err)
	return r.Feedback
}

// metric returns the value of a series. The name has no dlrloop_ prefix; labels are name, value pairs.
func (h *harness) metric(name string, labels ...string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	require.NoError(h.t, err)
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
	h.t.Fatalf("no series %s %v", name, labels)
	return 0
}

// lines is a JSON log that tests can read while it is written.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// with returns the log entries that have this message.
func (l *lines) with(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	d := json.NewDecoder(bytes.NewReader(l.text.Bytes()))
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
