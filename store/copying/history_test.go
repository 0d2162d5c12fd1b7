package copying_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var noon = time.Date(2026, 8, 30, 12, 0, 0, 0, time.UTC)

// policies returns OnOff for plan "off".
func policies(plan string) store.Policy {
	if plan == "off" {
		return store.Policy{On: store.OnOff}
	}
	return store.Policy{
		Coalesce:       700 * time.Millisecond,
		MissingReports: store.MissingReports{Silence: time.Minute, Grace: time.Minute},
	}
}

// unusual holds unusual batch ids.
var unusual = []string{
	"a", "ab", "a/b", "..", "%00", "ä", "💥", "'", `"; --`, "\\", "a\tb",
	"\x01", "\x1a", "\x1aff", "\u00ffa", "zero\x00byte",
	strings.Repeat("x", 250) + "1", strings.Repeat("x", 250) + "2",
}

// plans are the plans of the history. The last is longer than a key may be.
var plans = []string{"plan", "p", "plan/1", "off", "plän\x01", strings.Repeat("long ", 60)}

// history records a random but reproducible mix of arrivals.
type history struct {
	t    testing.TB
	s    store.Store
	draw *rand.Rand
	now  time.Time
}

// live fills a store with batches of all plans: all kinds of reports, confirmations, batch info, fetches, quarantine,
// inbound messages, feedback in every state, and batches that retention deleted.
func live(t testing.TB, s store.Store, batches int) *history {
	t.Helper()
	h := &history{t: t, s: s, draw: rand.New(rand.NewPCG(1, 2)), now: noon.Add(-48 * time.Hour)}
	for i := range 10 {
		h.batch("plan", fmt.Sprint("old ", i))
	}
	_, _, err := s.DeleteOlder(t.Context(), noon.Add(-24*time.Hour), 7)
	require.NoError(t, err)
	h.now = noon
	for i := range batches {
		plan, id := plans[h.draw.IntN(len(plans))], fmt.Sprintf("01JHFFHQ0P99JPPNQPJDV%05d", batches-i)
		if i < len(unusual) {
			id = unusual[i]
		}
		h.batch(plan, id)
		if i%5 == 0 {
			raw := []byte("{\xff\x00}" + fmt.Sprint(i))
			h.record(plan, store.Quarantined{Reason: dlr.UnknownType, Type: "new\x00thing", Raw: raw})
		}
		if i%4 == 0 {
			h.record(plan, h.text(fmt.Sprintf("%.200s \x00%d", id, i), i))
		}
		if i%10 == 9 {
			h.relay(plan)
		}
	}
	h.record("quarantined only", store.Quarantined{Reason: dlr.NotJSON})
	h.owe()
	return h
}

// owe records one batch with dead and one with pending feedback, whatever the random part left.
func (h *history) owe() {
	const plan = "owing"
	deliver := func(id string) {
		h.record(plan, store.BatchInfo{BatchID: id, FeedbackEnabled: true, Source: store.FromGateway})
		h.record(plan, parsed(h.t, map[string]any{
			"type": dlr.RecipientSMS, "batch_id": id, "recipient": h.number(), "status": dlr.Delivered, "code": 0, "at": h.now,
		}))
	}
	deliver("given up")
	h.now = h.now.Add(time.Second)
	claims := h.claim(plan, 1)
	require.Len(h.t, claims, 1)
	h.record(plan, store.Settlement{
		BatchID: claims[0].Key.BatchID, Lease: claims[0].Lease, Recipients: claims[0].Recipients,
		Outcome: store.OutcomeDead, Reason: store.ReasonRejected, Detail: "400 no",
	})
	deliver("waiting")
}

// text returns an inbound message from the ith number.
func (h *history) text(id string, i int) store.Inbound {
	raw, err := json.Marshal(map[string]any{
		"type": dlr.MOText, "id": id, "from": fmt.Sprintf("+4477009%05d", i%40), "to": "54321",
		"body": "STOP \x00 👋", "received_at": h.now,
	})
	require.NoError(h.t, err)
	c, err := dlr.Parse(raw)
	require.NoError(h.t, err)
	return store.Inbound{Inbound: c.Inbound, Raw: raw}
}

func (h *history) record(plan string, n store.Entry) {
	h.t.Helper()
	require.NoError(h.t, h.s.Record(h.t.Context(), store.Arrival{Plan: plan, At: h.now, Entry: n}))
}

// number returns one of a few numbers, so that each occurs in many batches.
func (h *history) number() string {
	return []string{"", "+", "00"}[h.draw.IntN(3)] + fmt.Sprintf("4477009%05d", h.draw.IntN(40))
}

func (h *history) batch(plan, id string) {
	if h.draw.IntN(3) > 0 { // otherwise the batch arrives in the same millisecond as the previous one
		h.now = h.now.Add(time.Duration(1+h.draw.IntN(5000)) * time.Millisecond)
	}
	if h.draw.IntN(2) == 0 {
		h.record(plan, store.BatchInfo{
			BatchID: id, FeedbackEnabled: h.draw.IntN(3) > 0, ReportKind: "full", ClientReference: "order " + id,
			Recipients: 5, Groups: 1, Numbers: []string{h.number(), h.number()},
			CreatedAt: h.now.Add(-time.Second), ModifiedAt: h.now, SendAt: h.now,
			ExpireAt: h.now.Add(time.Hour), Source: store.FromGateway,
		})
	}
	var g errgroup.Group // several reports in one chunk of the log
	for range 1 + h.draw.IntN(12) {
		n := h.report(id)
		a := store.Arrival{Plan: plan, At: h.now, Entry: n}
		g.Go(func() error { return h.s.Record(h.t.Context(), a) })
		if h.draw.IntN(5) == 0 {
			g.Go(func() error { return h.s.Record(h.t.Context(), a) })
		}
	}
	require.NoError(h.t, g.Wait())
	switch h.draw.IntN(8) {
	case 0:
		h.record(plan, store.Confirmation{BatchID: id, Recipients: []string{h.number()}})
	case 1:
		h.record(plan, store.Confirmation{BatchID: id, WholeBatch: true})
	case 2:
		h.record(plan, store.BatchInfo{BatchID: id, Unknown: true, Source: store.FromPoll})
	case 3:
		h.record(plan, store.ReportFetched{BatchID: id, Refused: "404 not_found"})
	case 4:
		h.record(plan, store.ReportFetched{BatchID: id})
	}
}

func (h *history) report(id string) store.Report {
	statuses := append(dlr.Statuses(), "Teleported", dlr.Delivered, dlr.Delivered, dlr.Delivered)
	status, code := statuses[h.draw.IntN(len(statuses))], []int{0, 401, 34, 77777}[h.draw.IntN(4)]
	if h.draw.IntN(6) == 0 {
		return parsed(h.t, map[string]any{
			"type": dlr.BatchSMS, "batch_id": id, "total_message_count": 5, "statuses": []map[string]any{
				{"status": status, "code": code, "count": 3},
				{"status": dlr.Failed, "code": 34, "count": 2, "recipients": []string{h.number(), h.number()}},
			},
		})
	}
	r := parsed(h.t, map[string]any{
		"type": dlr.RecipientSMS, "batch_id": id, "recipient": h.number(), "status": status, "code": code,
		"at": h.now.Add(-time.Duration(h.draw.IntN(100000)) * time.Millisecond), "client_reference": "réf " + id,
	})
	r.Source = store.Source(h.draw.IntN(2))
	return r
}

func parsed(t testing.TB, body map[string]any) store.Report {
	t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	c, err := dlr.Parse(raw)
	require.NoError(t, err)
	require.NotNil(t, c.Report)
	return store.Report{Report: c.Report, Raw: append(raw, bytes.Repeat([]byte(" "), len(raw)%7)...)}
}

// claim reads the totals first, because a read waits for the fold and Claim does not.
func (h *history) claim(plan string, limit int) []store.Claim {
	h.t.Helper()
	_, err := h.s.Stats(h.t.Context())
	require.NoError(h.t, err)
	claims, err := h.s.Claim(h.t.Context(), plan, h.now, time.Minute, limit)
	require.NoError(h.t, err)
	return claims
}

// relay claims and settles tasks: accepted, dead and retried in turn; the fourth stays leased.
func (h *history) relay(plan string) {
	for i, c := range h.claim(plan, 4) {
		s := store.Settlement{
			BatchID:           c.Key.BatchID,
			Lease:             c.Lease,
			Recipients:        c.Recipients,
			WholeBatch:        c.WholeBatch,
			Outcome:           []store.Outcome{store.OutcomeAccepted, store.OutcomeDead, store.OutcomeRetry}[i%3],
			Reason:            store.ReasonRejected,
			Detail:            "400 no\x00thing",
			Due:               h.now.Add(time.Minute),
			FullReportFetched: i%2 == 0,
		}
		if len(s.Recipients) > 1 {
			s.Recipients = s.Recipients[:len(s.Recipients)-1]
		}
		if i < 3 {
			h.record(plan, s)
		}
	}
}
