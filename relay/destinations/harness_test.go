package destinations

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

func TestMain(m *testing.M) {
	if os.Getenv("DLRLOOP_LONG") == "" { // otherwise rapid's default, 100
		if err := flag.Set("rapid.checks", "40"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

const (
	planA   = relaytest.PlanA
	secret1 = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	secret2 = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="
)

// harness is a Deliverer for one destination, app, with an event log in memory and an application.
type harness struct {
	t         *testing.T
	log       *eventLog
	app       *app
	config    Config
	deliverer *Deliverer
	registry  *prometheus.Registry
	lines     *relaytest.Lines
	versions  map[string]int64 // the last version of each batch
	stop      func()           // ends Run and waits for it
}

// inBubble runs a test in a synctest bubble; change may alter the destination. The deliverer runs.
func inBubble(t *testing.T, change func(*Destination), test func(t *testing.T, h *harness)) {
	t.Helper()
	inBubbleWith(t, func(h *harness) {
		if change != nil {
			change(&h.config.Destinations[0])
		}
	}, test)
}

// inBubbleWith is inBubble; change may alter the harness before the deliverer starts.
func inBubbleWith(t *testing.T, change func(h *harness), test func(t *testing.T, h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		change(h)
		h.start()
		test(t, h)
	})
}

func newHarness(t *testing.T, change func(*Destination)) *harness {
	t.Helper()
	h := &harness{
		t: t, log: newEventLog(t), app: newApp(t), versions: make(map[string]int64), lines: &relaytest.Lines{},
	}
	d := Destination{
		Name: "app", URL: "http://app.test/reports", Secrets: []string{secret1}, dial: h.app.dial,
		Backoff: relay.Backoff{Base: time.Second, Cap: time.Minute},
	}
	if change != nil {
		change(&d)
	}
	h.config = Config{
		Destinations: []Destination{d}, UserAgent: "dlrloop/1.2.3", Rand: relaytest.Random,
	}
	return h
}

// start creates a deliverer from the stored state and runs it until stop or the end of the test. It waits until the
// deliverer has read the log, so that it does not see what happens next before advance.
func (h *harness) start() {
	h.t.Helper()
	if h.config.Destinations[0].Unordered { // events of one batch may be sent at the same time
		h.app.open = nil
	}
	var err error
	h.deliverer, err = New(h.config, h.log, h.metrics(), h.logger())
	require.NoError(h.t, err)
	require.NoError(h.t, h.deliverer.Prepare(h.t.Context()))
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.deliverer.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(h.t, <-done)
		synctest.Wait() // until the application has noticed that requests were canceled
	})
	h.t.Cleanup(h.stop)
	synctest.Wait()
}

func (h *harness) metrics() *metrics.Metrics {
	h.registry = prometheus.NewRegistry()
	var names []string
	for _, d := range h.config.Destinations {
		names = append(names, d.Name)
	}
	return metrics.New(h.registry, metrics.Config{Destinations: names})
}

func (h *harness) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(h.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// advance moves the fake clock forward, and then waits until every other goroutine is blocked.
func (h *harness) advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// event returns the next event of a batch.
func (h *harness) event(batch string) store.Event {
	h.versions[batch]++
	return store.Event{
		Type: store.RecipientStatus, At: store.Now(), Plan: planA, BatchID: batch, Version: h.versions[batch],
		Number: "447700900118", State: dlr.State{Status: dlr.Delivered},
	}
}

// happen adds n events of each batch to the log, in turn, and returns their ids.
func (h *harness) happen(n int, batches ...string) (ids []string) {
	for range n {
		for _, b := range batches {
			e := h.event(b)
			h.log.append(e)
			ids = append(ids, e.ID())
		}
	}
	return ids
}

// requireOrder checks that the application accepted exactly these events, and those of a batch in order.
func (h *harness) requireOrder(ids []string) {
	h.t.Helper()
	requireSame(h.t, ids, h.app.received())
	h.requireInOrder()
}

// requireSame checks that both lists have the same ids, in any order. Its failure does not print thousands of ids.
func requireSame(t *testing.T, want, got []string) {
	t.Helper()
	count := make(map[string]int)
	for _, id := range want {
		count[id]--
	}
	for _, id := range got {
		count[id]++
	}
	for _, id := range want {
		require.Zero(t, count[id], "%s, of %d wanted, %d received", id, len(want), len(got))
	}
	require.Len(t, got, len(want))
}

// requireInOrder checks that the application accepted the events of each batch in order.
func (h *harness) requireInOrder() {
	h.t.Helper()
	last := make(map[string]int64)
	for _, e := range h.app.accepted {
		require.Greater(h.t, e.Version, last[e.Batch], "batch %s", e.Batch)
		last[e.Batch] = e.Version
	}
}

// metric returns the value of a counter or gauge with this name without dlrloop_destination_, whose labels include the
// one given by name and value.
func (h *harness) metric(name string, label ...string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	require.NoError(h.t, err)
	for _, f := range families {
		if f.GetName() != "dlrloop_destination_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := len(label) == 0
			for _, l := range m.GetLabel() {
				matches = matches || l.GetName() == label[0] && l.GetValue() == label[1]
			}
			if matches {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	h.t.Fatalf("no series %s %v", name, label)
	return 0
}

// requireDelivered checks that nothing waits: the stored cursor is at the end, and no event is deferred or dead.
func (h *harness) requireDelivered() {
	h.t.Helper()
	d, events := h.log.stored("app")
	require.Empty(h.t, events)
	backlog, err := h.log.EventBacklog(h.t.Context(), d.Cursor)
	require.NoError(h.t, err)
	require.Zero(h.t, backlog.Events)
}

func batchNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("batch-", i)
	}
	return names
}

// distinct returns how many different events the application accepted.
func (h *harness) distinct() int {
	ids := h.app.received()
	slices.Sort(ids)
	return len(slices.Compact(ids))
}

// crash ends the deliverer without storing its progress.
func (h *harness) crash() {
	h.log.failWith(func() (bool, error) { return false, errInjected }, nil)
	h.stop()
	h.log.failWith(nil, nil)
}

var errInjected = errors.New("injected failure")
