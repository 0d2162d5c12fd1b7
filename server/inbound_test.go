package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/application"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// inboundMessage is an inbound message, as the API and the simulator's ledger both know it.
type inboundMessage struct{ ID, Type, From, To, Text string }

// TestInboundMessagesAreStoredOnce lets two of three recipients reply, while the simulator repeats, delays and loses
// callbacks and dlrloop restarts. The API must list exactly the messages that dlrloop has acknowledged, and the feed
// must have an event for each.
func TestInboundMessagesAreStoredOnce(t *testing.T) {
	w := newWorldOf(t, simulator.Config{
		Seed: 1, Replies: 0.67, RetryUnit: 20 * time.Millisecond,
		Anomalies: simulator.Anomalies{
			Upstream: -1, Repeated: 0.3, Late: 0.1, Lost: 0.1, Plus: 0.2, LateBy: 200 * time.Millisecond,
		},
	}, nil)
	const batches, recipients = 4, 100
	for b := range batches {
		to := make([]string, recipients)
		for i := range to {
			to[i] = fmt.Sprintf("4477009%05d", b*recipients+i)
		}
		w.send("per_recipient_final", false, to...)
		if b == batches/2 {
			require.NoError(t, w.end())
			w.start()
		}
	}
	w.eventually("Sinch is done", w.sinch.Settled)

	var want []inboundMessage
	repeated, acknowledged := 0, w.sinch.Ledger().AcknowledgedInbound()
	for _, c := range acknowledged {
		want = append(want, inboundMessage{c.Inbound.ID, c.Type, c.Recipients[0], c.Inbound.To, c.Inbound.Text})
		if answered2xx(c) > 1 {
			repeated++
		}
	}
	require.InDelta(t, 0.67*batches*recipients, len(want), 70)
	require.Positive(t, repeated, "Sinch sent some messages again")
	require.Greater(t, w.sinch.State().Inbound, len(want), "Sinch lost some callbacks")
	listed := w.inbound()
	for i := range listed {
		listed[i].From = strings.TrimPrefix(listed[i].From, "+") // the API keeps it as received
	}
	require.ElementsMatch(t, want, listed)
	requireEvents(t, w, len(want), batches*recipients)
}

// requireEvents delivers all events of the feed to a simulated application, which knows their form without dlrloop's
// code. It must find no fault with them.
func requireEvents(t *testing.T, w *world, inbound, recipients int) {
	t.Helper()
	app, err := application.New(application.Config{Calm: true})
	require.NoError(t, err)
	receiver := httptest.NewServer(app.Handler())
	t.Cleanup(receiver.Close)
	_, answer := w.get("/api/v1/events?follow=false&limit=10000")
	for line := range bytes.Lines(answer) {
		var l struct{ Event json.RawMessage }
		var e struct{ ID string }
		require.NoError(t, json.Unmarshal(line, &l))
		if len(l.Event) == 0 {
			continue // a line with only a cursor
		}
		require.NoError(t, json.Unmarshal(l.Event, &e))
		r, err := http.NewRequest(http.MethodPost, receiver.URL+"/events", bytes.NewReader(l.Event))
		require.NoError(t, err)
		r.Header.Set("webhook-id", e.ID)
		status, _ := do(t, r)
		require.Equal(t, http.StatusNoContent, status, "%s\n%s", l.Event, app.Ledger().Problems)
	}
	received := app.Ledger()
	require.Empty(t, received.Problems)
	require.Zero(t, received.Repeats)
	require.Equal(t, inbound, received.ByType["inbound.received"])
	require.InDelta(t, recipients, received.ByType["recipient.status"], float64(recipients)/4, "a tenth is lost")
	require.Equal(t, received.Events, received.ByType["inbound.received"]+received.ByType["recipient.status"]+
		received.ByType["batch.completed"])
}

// answered2xx returns how many requests of a callback were answered 2xx.
func answered2xx(c ledger.Callback) (n int) {
	for _, a := range c.Attempts {
		if a.Status/100 == 2 {
			n++
		}
	}
	return n
}

// inbound reads all inbound messages from the API, page by page.
func (w *world) inbound() (all []inboundMessage) {
	w.t.Helper()
	for next := ""; ; {
		var page struct {
			Items []inboundMessage
			Next  string `json:"next_cursor"`
		}
		w.read("/api/v1/inbound?limit=50&cursor="+url.QueryEscape(next), &page)
		all = append(all, page.Items...)
		if next = page.Next; next == "" {
			return all
		}
	}
}
