package application

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAcceptsEvents(t *testing.T) {
	var seen []string
	r := newRelay(t, Config{Secret: secret, Calm: true, Observe: func(e Event) { seen = append(seen, e.String()) }})
	head := `"timestamp":"2026-03-01T10:00:00.123Z","data":{"plan":"p"`
	batch := head + `,"batch_id":"b","client_reference":"r","version":`
	bodies := []string{
		recipientStatus("b", 1, "Delivered"),
		`{"id":"evt_2","type":"recipient.status",` + batch + `2,"recipient":"+447700900166","status":"Queued",` +
			`"final":false}}`,
		`{"id":"evt_3","type":"batch.completed",` + batch + `3,"counts":[{"status":"Dispatched","code":401,"final":false,` +
			`"messages":4},{"status":"Delivered","code":0,"final":true,"messages":3},` +
			`{"status":"Failed","code":153,"final":true,"messages":1},` +
			`{"status":"Failed","code":201,"final":true,"messages":2}]}}`,
		`{"id":"evt_4","type":"feedback.accepted",` + batch + `4,"recipients":["447700900133","447700900166"]}}`,
		`{"id":"evt_5","type":"feedback.dead",` + batch + `5,"recipients":[],"whole_batch":true,"reason":"rejected"}}`,
		`{"id":"evt_6","type":"inbound.received",` + head + `,"inbound_id":"i","from":"447700900133","to":"1","body":"hi",` +
			`"callback":{"type":"mo_text"}}}`,
		`{"id":"evt_7","type":"callback.quarantined",` + head + `,"key":"k","reason":"not_json"}}`,
		`{"id":"evt_8","type":"later.type",` + head + `,"other":[1]}}`,
	}
	for i, body := range bodies {
		var e struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(body), &e))
		require.Equal(t, http.StatusNoContent, r.status(r.request(e.ID, body)), "%d: %v", i, r.app.Ledger().Problems)
	}
	require.Equal(t, []string{
		"recipient.status      Delivered 0         **********33",
		"recipient.status      Queued              ***********66",
		"batch.completed       3 Delivered, 3 Failed",
		"feedback.accepted     recipients: 2",
		"feedback.dead         whole batch",
		"inbound.received      mo_text             **********33",
		"callback.quarantined  not_json",
		"later.type",
	}, seen)
	require.Equal(t, Ledger{
		Mode: Up, Requests: 8, Events: 8, Faults: map[Fault]int{}, Answers: map[string]int{"204": 8}, Problems: []string{},
		ByType: map[string]int{
			"recipient.status": 2, "batch.completed": 1, "feedback.accepted": 1, "feedback.dead": 1, "inbound.received": 1,
			"callback.quarantined": 1, "later.type": 1,
		},
	}, r.app.Ledger())
	first := r.app.Events()[0]
	require.WithinDuration(t, time.Now(), first.At, time.Minute)
	require.Equal(t, Event{
		ID: "evt_b1", Type: "recipient.status", Plan: "p", Batch: "b", Version: 1, Number: "447700900133",
		Status: "Delivered", At: first.At, hash: first.hash,
	}, first)
}

func TestRefusesUnknownShapes(t *testing.T) {
	r := newRelay(t, Config{Secret: secret, Calm: true})
	event := recipientStatus("b", 1, "Delivered")
	without := func(member string) string { return strings.Replace(event, `"`+member+`":`, `"other":`, 1) }
	cases := map[string]struct{ id, body string }{
		"not JSON":             {"evt_b1", "hello"},
		"a text":               {"evt_b1", `"hello"`},
		"null":                 {"evt_b1", `null`},
		"two objects":          {"evt_b1", event + event},
		"an empty array":       {"evt_b1.0", "[]"},
		"an array of numbers":  {"evt_b1.1", "[1]"},
		"another id":           {"evt_b2", event},
		"an array, simple id":  {"evt_b1", "[" + event + "]"},
		"an array, wrong size": {"evt_b1.2", "[" + event + "]"},
		"an event, id of many": {"evt_b1.1", event},
		"a time with offset":   {"evt_b1", strings.Replace(event, "123Z", "123+01:00", 1)},
		"version as a text":    {"evt_b1", strings.Replace(event, `"version":1`, `"version":"1"`, 1)},
		"version 0":            {"evt_b1", strings.Replace(event, `"version":1`, `"version":0`, 1)},
		"no counts":            {"evt_b1", strings.Replace(event, "recipient.status", "batch.completed", 1)},
		"no recipients":        {"evt_b1", strings.Replace(event, "recipient.status", "feedback.accepted", 1)},
		"no callback":          {"evt_b1", strings.Replace(event, "recipient.status", "inbound.received", 1)},
		"a time without zone":  {"evt_b1", strings.Replace(event, "100Z", "100", 1)},
		"no final in counts": {
			"evt_b1", strings.Replace(strings.Replace(event, "recipient.status", "batch.completed", 1), `"code":0`,
				`"counts":[{"status":"Delivered","messages":1}]`, 1),
		},
		"no key": {"evt_b1", strings.Replace(event, "recipient.status", "callback.quarantined", 1)},
	}
	for _, member := range []string{
		"id", "type", "timestamp", "data", "plan", "batch_id", "version", "recipient", "status", "final",
	} {
		cases["no "+member] = struct{ id, body string }{"evt_b1", without(member)}
	}
	for name, c := range cases {
		assert.Equal(t, http.StatusBadRequest, r.status(r.request(c.id, c.body)), name)
	}
	l := r.app.Ledger()
	assert.Equal(t, len(cases), l.UnknownShapes)
	assert.Len(t, l.Problems, maxProblems)
	assert.Zero(t, l.Events)
	for _, p := range l.Problems {
		assert.NotContains(t, p, "447700900133")
	}
	long := r.request("evt_b1", strings.Repeat(" ", maxBody)+event)
	long.Header.Set("Expect", "100-continue")
	assert.Equal(t, http.StatusRequestEntityTooLarge, r.status(long))
	assert.Equal(t, 405, r.status(func() *http.Request {
		get := r.request("evt_b1", event)
		get.Method = http.MethodGet
		return get
	}()))
}

// TestRepeatsAndOrder checks how the ledger counts events that come again, out of order, or with other content.
func TestRepeatsAndOrder(t *testing.T) {
	r := newRelay(t, Config{Calm: true})
	for _, version := range []int{1, 3, 3, 1, 5, 4, 4} {
		require.Equal(t, http.StatusNoContent, r.deliver("b", version))
	}
	require.Equal(t, http.StatusNoContent, r.deliver("c", 2), "another batch has its own versions")
	l := r.app.Ledger()
	assert.Equal(t, 5, l.Events)
	assert.Equal(t, 3, l.Repeats)
	assert.Equal(t, 2, l.RepeatsAfterNewer, "1 came again after 3, and 4 after 5")
	assert.Equal(t, 1, l.OutOfOrder, "4 came after 5")
	assert.Equal(t, []string{"order: batch b: version 4 came after 5"}, l.Problems)
	assert.Zero(t, l.ChangedRepeats)
	var repeats []int
	for _, e := range r.app.Events() {
		repeats = append(repeats, e.Repeats)
	}
	assert.Equal(t, []int{1, 1, 0, 1, 0}, repeats, "of the versions 1, 3, 5, 4 and of the other batch")

	require.Equal(t, http.StatusNoContent, r.status(r.request("evt_b5", recipientStatus("b", 5, "Failed"))))
	assert.Equal(t, 1, r.app.Ledger().ChangedRepeats)
	assert.Equal(t, "Delivered", r.app.Events()[2].Status, "the first content is kept")

	same := strings.Replace(recipientStatus("c", 2, "Delivered"), "evt_c2", "evt_other", 1)
	require.Equal(t, http.StatusNoContent, r.status(r.request("evt_other", same)))
	assert.Equal(t, 2, r.app.Ledger().OutOfOrder, "two events of a batch with one version")
}

func TestAcceptsArrays(t *testing.T) {
	r := newRelay(t, Config{Secret: secret, Calm: true})
	var events []string
	for version := range 5 {
		events = append(events, recipientStatus("b", version+1, "Delivered"))
	}
	require.Equal(t, http.StatusNoContent, r.status(r.request("evt_b1.3", "["+strings.Join(events[:3], ",")+"]")))
	require.Equal(t, http.StatusNoContent, r.status(r.request("evt_b3.3", "["+strings.Join(events[2:], ",")+"]")))
	require.Equal(t, http.StatusNoContent, r.status(r.request("evt_b5.1", " ["+events[4]+"]")))
	l := r.app.Ledger()
	assert.Equal(t, 5, l.Events)
	assert.Equal(t, 2, l.Repeats)
	assert.Zero(t, l.RepeatsAfterNewer, "3 came again before 4")
	assert.Zero(t, l.OutOfOrder)
	bad := "[" + events[0] + "," + strings.Replace(events[1], `"id"`, `"key"`, 1) + "]"
	require.Equal(t, http.StatusBadRequest, r.status(r.request("evt_b1.2", bad)))
	assert.Equal(t, 5, r.app.Ledger().Events, "of an array with a wrong event, none is accepted")
	assert.Equal(t, 2, r.app.Ledger().Repeats)
}

func TestForgetsTheOldestEvents(t *testing.T) {
	r := newRelay(t, Config{Calm: true, MaxEvents: 3})
	for version := 1; version <= 4; version++ {
		require.Equal(t, http.StatusNoContent, r.deliver("b", version))
	}
	require.Equal(t, http.StatusNoContent, r.deliver("c", 1))
	var ids []string
	for _, e := range r.app.Events() {
		ids = append(ids, e.ID)
	}
	require.Equal(t, []string{"evt_b3", "evt_b4", "evt_c1"}, ids)
	require.Equal(t, http.StatusNoContent, r.deliver("b", 1))
	l := r.app.Ledger()
	assert.Equal(t, 6, l.Events, "1 is forgotten, so it counts as new")
	assert.Equal(t, 1, l.OutOfOrder)
	assert.Equal(t, 3, l.Forgotten)
	for i := range 3 {
		require.Equal(t, http.StatusNoContent, r.deliver(fmt.Sprint("d", i), 1))
	}
	assert.Len(t, r.app.accepted.numbers, 3)
	assert.Len(t, r.app.accepted.batches, 3, "a batch without remembered events is forgotten")
}

func TestCountsAtMost32Types(t *testing.T) {
	r := newRelay(t, Config{Calm: true})
	for i := range 40 {
		body := fmt.Sprintf(`{"id":"evt_%d","type":"t%d","timestamp":"2026-03-01T10:00:00Z","data":{"plan":"p"}}`, i, i)
		require.Equal(t, http.StatusNoContent, r.status(r.request(fmt.Sprint("evt_", i), body)))
	}
	require.Len(t, r.app.Ledger().ByType, maxTypes+1)
	require.Equal(t, 40-maxTypes, r.app.Ledger().ByType["other"])
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"secret: no prefix":   {Secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		"secret: not base64":  {Secret: "whsec_%%"},
		"secret: empty":       {Secret: "whsec_"},
		"fault rate: above 1": {FaultRate: 1.5},
		"max events: -1":      {MaxEvents: -1},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, "application: "+strings.SplitN(name, ":", 2)[0], name)
	}
}
