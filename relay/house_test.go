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

// house is a relay with all that stands around it: a real store, and an upstream to which it speaks real HTTP.
type house struct {
	t        *testing.T
	upstream *upstream
	store    *storetest.Failing
	registry *prometheus.Registry
	metrics  *metrics.Metrics
	relay    *Relay
	told     atomic.Pointer[Relay] // relay, for the store
	log      *lines
	stop     func() // ends Run and waits for it
}

// inHouse runs a test in a synctest bubble with a relay for plan A; change may alter its configuration.
func inHouse(t *testing.T, change func(*Config), test func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, change)
		h.start()
		test(t, h)
	})
}

func newHouse(t *testing.T, change func(*Config)) *house {
	t.Helper()
	h := &house{t: t, upstream: newUpstream(t), registry: prometheus.NewRegistry(), log: &lines{}}
	policy := store.Policy{Coalesce: time.Second, Missing: store.Missing{Silence: time.Hour, Grace: 10 * time.Minute}}
	s, err := boltstore.Open(t.Context(), boltstore.Config{
		Path: t.TempDir(), Policies: func(string) store.Policy { return policy },
		Observer: store.Observer{Folded: func(c []store.Changes) {
			if r := h.told.Load(); r != nil {
				r.Folded(c)
			}
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	h.store = storetest.NewFailing(s)
	return h.relays(change)
}

// newHouseOn is another relay in front of the upstream and store of h, as after a restart.
func newHouseOn(t *testing.T, h *house, change func(*Config)) *house {
	t.Helper()
	again := &house{t: t, upstream: h.upstream, store: h.store, registry: prometheus.NewRegistry(), log: h.log}
	return again.relays(change)
}

// relays makes the relay of h; change may alter its configuration.
func (h *house) relays(change func(*Config)) *house {
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
	h.relay, err = New(c, h.store, h.metrics, slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(h.t, err)
	h.told.Store(h.relay)
	return h
}

func (h *house) client(plan string) *sinch.Client {
	h.t.Helper()
	c, err := sinch.New(sinch.Config{
		Plan: plan, BaseURL: "http://sinch.test", Token: "a3f0c9d1e5b74c2f", Transport: h.upstream.transport(h.t),
	})
	require.NoError(h.t, err)
	return c
}

// start runs the relay until stop or the end of the test.
func (h *house) start() {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.relay.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(h.t, <-done)
	})
	h.t.Cleanup(h.stop)
}

// pass lets d go by, and everything happen that happens in it.
func (h *house) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *house) record(plan string, news store.News) {
	h.t.Helper()
	require.NoError(h.t, h.store.Record(h.t.Context(), store.Arrival{Plan: plan, At: now(), News: news}))
}

// delivered takes recipient reports that say Delivered.
func (h *house) delivered(plan, batchID string, numbers ...string) {
	h.t.Helper()
	for _, n := range numbers {
		h.report(plan, []byte(fmt.Sprintf(
			`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,"code":0,"status":"Delivered","at":"2025-08-19T16:21:00.000Z"}`,
			batchID, n)))
	}
}

func (h *house) report(plan string, body []byte) {
	h.t.Helper()
	c, err := dlr.Parse(body)
	require.NoError(h.t, err)
	h.record(plan, store.Report{Report: c.Report, Raw: body, Source: store.FromCallback})
}

// batchReport is a batch report that says Delivered of these numbers, or of as many without naming them.
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

// flagged tells that the batch wants feedback, or that it does not, as a gateway would.
func (h *house) flagged(plan, batchID string, wanted bool) {
	h.t.Helper()
	h.record(plan, store.Facts{BatchID: batchID, FeedbackEnabled: wanted, CreatedAt: now(), Source: store.FromGateway})
}

func (h *house) batch(plan, batchID string) *store.Batch {
	h.t.Helper()
	b, err := h.store.Batch(h.t.Context(), store.BatchKey{Plan: plan, BatchID: batchID})
	require.NoError(h.t, err)
	return b
}

// feedback is where the feedback of one recipient of batch 1 stands.
func (h *house) feedback(number string) store.FeedbackState {
	h.t.Helper()
	r, err := h.store.Recipient(h.t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, number)
	require.NoError(h.t, err)
	return r.Feedback
}

// counted is the value of a series, named as in the exposition format but without its prefix.
func (h *house) counted(name string, labels ...string) float64 {
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

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// with returns the entries that have this message.
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
