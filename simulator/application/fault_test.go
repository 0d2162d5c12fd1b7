package application

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attempt delivers an event and gives up once stuck returns true. It returns the answer, or nil if there was none.
func (r *relay) attempt(batch string, version int, stuck func(Ledger) bool) *http.Response {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	q := r.request(id(batch, version), recipientStatus(batch, version, "Delivered"))
	answered := make(chan *http.Response, 1)
	go func() { answered <- r.do(q.WithContext(ctx)) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case answer := <-answered:
			return answer
		case <-tick.C:
			if stuck(r.app.Ledger()) {
				cancel()
			}
		}
	}
}

// TestEveryEventArrivesDespiteFaults repeats each delivery until it is answered 2xx. All events must be accepted, once
// each, and every fault must have the effects that its comment says.
func TestEveryEventArrivesDespiteFaults(t *testing.T) {
	r := newRelay(t, Config{Secret: secret, Seed: 7, FaultRate: 0.5})
	const events = 150
	for version := 1; version <= events; version++ {
		for {
			before := r.app.Ledger()
			answer := r.attempt("b", version, func(l Ledger) bool { return l.Faults[Hang] > before.Faults[Hang] })
			after := r.app.Ledger()
			accepted := after.Events > before.Events || after.Repeats > before.Repeats
			var hit Fault
			for _, f := range Faults() {
				if after.Faults[f] > before.Faults[f] {
					hit = f
				}
			}
			require.Equal(t, hit == "" || hit == LostAnswer, accepted, "%s", hit)
			r.checkAnswer(hit, answer)
			if answer != nil && answer.StatusCode/100 == 2 {
				break
			}
		}
	}
	l := r.app.Ledger()
	require.Equal(t, events, l.Events)
	require.Equal(t, l.Faults[LostAnswer], l.Repeats, "after a lost answer the event comes again")
	require.Zero(t, l.OutOfOrder)
	require.Zero(t, l.RepeatsAfterNewer)
	faults := 0
	for _, f := range Faults() {
		assert.InDelta(t, events/8, l.Faults[f], 12, "%s", f)
		faults += l.Faults[f]
	}
	require.Equal(t, l.Requests-faults, l.Answers["204"])
}

// checkAnswer checks the answer to a request that a fault has hit, or no fault if f is empty.
func (r *relay) checkAnswer(f Fault, answer *http.Response) {
	r.t.Helper()
	switch f {
	case Hang, Reset, LostAnswer:
		require.Nil(r.t, answer, "%s", f)
		return
	}
	require.NotNil(r.t, answer, "%s", f)
	retryAfter := answer.Header.Get("Retry-After")
	switch f {
	case "":
		require.Equal(r.t, 204, answer.StatusCode)
	case RateLimited:
		require.Equal(r.t, "1", retryAfter)
	case RateLimitedAt:
		at, err := http.ParseTime(retryAfter)
		require.NoError(r.t, err)
		require.WithinDuration(r.t, time.Now().Add(2*time.Second), at, 5*time.Second)
	case Moved:
		require.Equal(r.t, "/moved", answer.Header.Get("Location"))
		fallthrough
	default:
		require.Equal(r.t, string(f), strconv.Itoa(answer.StatusCode))
	}
	require.Equal(r.t, f == RateLimited || f == RateLimitedAt, retryAfter != "")
}

// TestTheSeedDecidesTheFaults delivers the same events in two orders.
func TestTheSeedDecidesTheFaults(t *testing.T) {
	faults := func(seed uint64, rate float64, backwards bool) map[string]Fault {
		a, err := New(Config{Seed: seed, FaultRate: rate})
		require.NoError(t, err)
		hit := map[string]Fault{}
		for i := range 1000 {
			if backwards {
				i = 999 - i
			}
			for turn := range 2 {
				if f := a.faultFor(id("b", i)); f != "" {
					hit[fmt.Sprint(i, "/", turn)] = f
				}
			}
		}
		return hit
	}
	forwards := faults(1, 0.1, false)
	require.InDelta(t, 200, len(forwards), 60)
	require.Equal(t, forwards, faults(1, 0.1, true))
	require.NotEqual(t, forwards, faults(2, 0.1, false))
	require.Equal(t, forwards, faults(1, 0, false), "0 means the default, 0.1")
	require.Empty(t, faults(1, -1, false))
}

func TestModes(t *testing.T) {
	r := newRelay(t, Config{Calm: true})
	set := func(body string) {
		t.Helper()
		status, answer := r.call(http.MethodPost, "/control", body)
		require.Equal(t, http.StatusNoContent, status, answer)
	}
	set(`{"mode":"down"}`)
	require.Equal(t, 0, r.deliver("b", 1))
	set(`{"mode":"gone"}`)
	require.Equal(t, http.StatusGone, r.deliver("b", 1))
	require.Zero(t, r.app.Ledger().Events)
	require.Equal(t, map[string]int{"none": 1, "410": 1}, r.app.Ledger().Answers)

	set(`{"mode":"slow","delay":"10ms"}`)
	started := time.Now()
	require.Equal(t, http.StatusNoContent, r.deliver("b", 1))
	require.GreaterOrEqual(t, time.Since(started), 10*time.Millisecond)
	_, shown := r.call(http.MethodGet, "/control", "")
	require.JSONEq(t, `{"mode":"slow","delay":"10ms"}`, shown)

	set(`{"mode":"slow","delay":"1h"}`)
	require.Nil(t, r.attempt("b", 2, func(l Ledger) bool { return l.Requests == 4 }))
	require.Eventually(t, func() bool { return r.app.Ledger().Answers["none"] == 2 }, time.Minute, time.Millisecond)
	require.Equal(t, 1, r.app.Ledger().Events, "the client gave up, so the event is not accepted")

	answered := make(chan int, 1)
	go func() { answered <- r.deliver("b", 2) }()
	require.Eventually(t, func() bool { return r.app.Ledger().Requests == 5 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool {
		set(`{"mode":"up"}`) // again, in case the request had not yet read the mode
		return len(answered) == 1
	}, time.Minute, time.Millisecond)
	require.Equal(t, http.StatusNoContent, <-answered)

	for _, body := range []string{
		`{"mode":"sideways"}`, `{"mode":"up","delay":"1s"}`, `{"mode":"slow","delay":"-1s"}`, `{"mode":"slow","delay":"x"}`,
		`{}`, `{"state":"up"}`, `x`,
	} {
		status, answer := r.call(http.MethodPost, "/control", body)
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, answer, `"error":`)
	}
	require.Equal(t, Up, r.app.Ledger().Mode)
}

// TestSettingTheModeEndsHangs checks that a test can stop a server whose requests hang.
func TestSettingTheModeEndsHangs(t *testing.T) {
	a, err := New(Config{Seed: 3, FaultRate: 1})
	require.NoError(t, err)
	hanging := ""
	for i := 0; hanging == ""; i++ {
		if a.faultFor(id("b", i)) == Hang {
			hanging = strconv.Itoa(i)
		}
	}
	r := newRelay(t, Config{Seed: 3, FaultRate: 1})
	version, err := strconv.Atoi(hanging)
	require.NoError(t, err)
	answered := make(chan int, 1)
	go func() { answered <- r.deliver("b", version) }()
	require.Eventually(t, func() bool { return r.app.Ledger().Faults[Hang] == 1 }, time.Minute, time.Millisecond)
	require.Empty(t, answered)
	require.NoError(t, r.app.SetMode(Up, 0))
	require.Zero(t, <-answered)
}

func TestLedgerRoute(t *testing.T) {
	r := newRelay(t, Config{Calm: true})
	_, empty := r.call(http.MethodGet, "/ledger?events=1", "")
	require.Contains(t, empty, `"ids":[]`)
	for _, version := range []int{1, 2, 1} {
		require.Equal(t, http.StatusNoContent, r.deliver("b", version))
	}
	_, figures := r.call(http.MethodGet, "/ledger", "")
	require.JSONEq(t, `{"mode":"up","requests":3,"answers":{"204":3},"faults":{},"events":2,
		"by_type":{"recipient.status":2},"repeats":1,"repeats_after_newer":1,"changed_repeats":0,"out_of_order":0,
		"forgotten":0,"signature_failures":0,"unknown_shapes":0,"problems":[]}`, figures)
	_, ids := r.call(http.MethodGet, "/ledger?events=1", "")
	require.Contains(t, ids, `"ids":["evt_b1","evt_b2"]`)
}
