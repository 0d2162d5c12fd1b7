package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// event is an event as dlrloop delivers it.
type event struct {
	ID   string
	Type string
	Data struct {
		BatchID   string `json:"batch_id"`
		Version   int64
		Recipient string
		Status    string
		Code      int
	}
}

// sink is an application that stores each accepted event by id. It refuses one of ten deliveries, and does not answer
// one of twenty that it has accepted.
type sink struct {
	url string

	mu       sync.Mutex
	random   *rand.Rand       // guarded by mu
	accepted map[string]event // by id; guarded by mu
	order    []string         // ids in the order of their first acceptance; guarded by mu
	repeats  int              // events that were accepted before; guarded by mu
}

func newSink(t *testing.T, seed uint64) *sink {
	t.Helper()
	s := &sink{random: rand.New(rand.NewPCG(seed, 1)), accepted: make(map[string]event)}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// destination returns the configuration of a destination that delivers to the sink.
func (s *sink) destination(maxEvents int) string {
	return fmt.Sprintf(`
destinations:
  - name: sink
    url: %s
    secrets: [%s]
    max_events: %d
    timeout: 2s
    backoff: {base: 50ms, cap: 1s}
`, s.url, eventSecret, maxEvents)
}

func (s *sink) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // dlrloop was killed
	}
	var events []event
	if bytes.HasPrefix(body, []byte("[")) {
		err = json.Unmarshal(body, &events)
	} else {
		events = make([]event, 1)
		err = json.Unmarshal(body, &events[0])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.random.IntN(10) == 0 {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	for _, e := range events {
		if _, known := s.accepted[e.ID]; known {
			s.repeats++
			continue
		}
		s.accepted[e.ID] = e
		s.order = append(s.order, e.ID)
	}
	if s.random.IntN(20) == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusNoContent)
}

// waitDelivered waits until no event waits for a destination of p.
func waitDelivered(p *program) {
	p.t.Helper()
	eventually(p.t, "delivered", func() bool {
		for _, d := range all[struct{ Waiting int }](p, "/api/v1/destinations?") {
			if d.Waiting > 0 {
				return false
			}
		}
		return true
	})
}

// feedOf returns all events in the feed of p, in its order.
func feedOf(p *program) (feed []event) {
	p.t.Helper()
	for d := json.NewDecoder(bytes.NewReader(p.read("/api/v1/events?follow=false"))); ; {
		var line struct{ Event *event } // nil in a heartbeat
		err := d.Decode(&line)
		if err == io.EOF {
			return feed
		}
		require.NoError(p.t, err)
		if line.Event != nil {
			feed = append(feed, *line.Event)
		}
	}
}

// checkEvents checks that the sink has exactly the changes that p stores, in order and none missing, and that the feed
// has the same events.
func checkEvents(t *testing.T, p *program, s *sink) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	checkOrder(t, "the sink", s.order, s.accepted)
	states := make(map[string]event) // the last by batch and number
	for _, id := range s.order {
		if e := s.accepted[id]; e.Type == "recipient.status" {
			states[e.Data.BatchID+" "+strings.TrimPrefix(e.Data.Recipient, "+")] = e
		}
	}
	recipients := 0
	for _, b := range all[struct{ ID string }](p, "/api/v1/batches?limit=1000") {
		for _, r := range recipientsOf(p, b.ID) {
			if r.State.Status == "" {
				continue // no report has named the recipient
			}
			recipients++
			last := states[b.ID+" "+strings.TrimPrefix(r.Number, "+")].Data
			assert.Equal(t, r.State.Status, last.Status, "recipient of batch %s", url.PathEscape(b.ID))
			assert.Equal(t, r.State.Code, last.Code, "recipient of batch %s", url.PathEscape(b.ID))
		}
	}
	require.NotZero(t, recipients)
	assert.Len(t, states, recipients, "the sink must have no event for a recipient that is not stored")

	var order []string
	feed := make(map[string]event)
	for _, e := range feedOf(p) {
		order = append(order, e.ID)
		feed[e.ID] = e
	}
	checkOrder(t, "the feed", order, feed)
	assert.Len(t, feed, len(order), "an id occurs twice in the feed")
	assert.Equal(t, feed, s.accepted, "the feed and the sink must have the same events")
	t.Logf("%d events for %d recipients, %d repeats", len(s.accepted), recipients, s.repeats)
}

// checkOrder checks that the versions of each batch rise.
func checkOrder(t *testing.T, where string, order []string, events map[string]event) {
	t.Helper()
	versions := make(map[string]int64)
	for _, id := range order {
		if e := events[id].Data; e.BatchID != "" {
			assert.Greater(t, e.Version, versions[e.BatchID], "%s has the events of batch %s out of order", where, e.BatchID)
			versions[e.BatchID] = e.Version
		}
	}
}
