package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// anomalies returns Anomalies in which only the anomalies set by change occur.
func anomalies(change func(*Anomalies)) Anomalies {
	never := -1.0
	b := Anomalies{
		Undelivered: never, Repeated: never, Overtaken: never, Late: never, Lost: never, Plus: never, Queued: never,
		Skipped: never, Upstream: never,
	}
	change(&b)
	return b
}

// reportsByNumber lists the recipient reports that the customer received, by the digits of the number, in order of
// arrival.
func reportsByNumber(posts []post) map[string][]string {
	reports := map[string][]string{}
	for _, p := range posts {
		number := strings.TrimPrefix(p.report.Recipient, "+")
		reports[number] = append(reports[number],
			fmt.Sprintf("%s %d %s %s", p.report.Status, p.report.Code, p.report.Recipient, p.report.At))
	}
	return reports
}

func TestSameSeedGivesSameDecisions(t *testing.T) {
	receive := func(seed uint64, inFlight int) (reports []map[string][]string, id string) {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Seed: seed, MaxCallbacksInFlight: inFlight}).run()
			for range 3 {
				id = u.send(map[string]any{"to": numbers(100), "delivery_report": "per_recipient"})
				u.settle()
				reports = append(reports, reportsByNumber(u.received()))
				u.mu.Lock()
				u.posts = nil
				u.mu.Unlock()
				time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
			}
		})
		return reports, id
	}
	a, idA := receive(7, 32)
	b, idB := receive(7, 3)
	require.Equal(t, a, b)
	require.Equal(t, idA, idB)
	c, idC := receive(8, 32)
	require.NotEqual(t, a, c)
	require.NotEqual(t, idA, idC)
	require.Greater(t, len(a[0]), 90)
}

func TestCalmHasNoAnomalies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t,
			Config{Calm: true, Seed: 3, Anomalies: Anomalies{Lost: 1, Undelivered: 1, Upstream: 1}}).run()
		id := u.send(map[string]any{
			"to": numbers(500), "delivery_report": "per_recipient",
			"feedback_enabled": true,
		})
		u.settle()
		for number, seen := range reportsByNumber(u.received()) {
			require.Len(t, seen, 2)
			require.Contains(t, seen[0], "Dispatched 401 "+number)
			require.Contains(t, seen[1], "Delivered 0 "+number)
		}
		for range 20 {
			require.Equal(t, 202, u.feedback(id).status)
		}
	})
}

func TestHundredMessagesShowEveryAnomaly(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Seed: seed, Anomalies: Anomalies{Lost: 0.01}})
			seen := map[ledger.EntryKind]int{}
			u.sim.Observe(func(e ledger.Entry) {
				u.mu.Lock()
				defer u.mu.Unlock()
				seen[e.Kind]++
			})
			u.run()
			u.send(map[string]any{"to": numbers(100), "delivery_report": "per_recipient"})
			u.settle()
			for _, kind := range []ledger.EntryKind{
				ledger.BatchSent, ledger.CallbackAnswered, ledger.CallbackRepeated, ledger.CallbackOvertaken,
				ledger.CallbackLate, ledger.CallbackLost,
			} {
				require.Positive(t, seen[kind], "%s with seed %d", kind, seed)
			}
			plain, withPlus, queued, skipped := 0, 0, 0, 0
			for _, history := range reportsByNumber(u.received()) {
				text := strings.Join(history, "\n")
				if strings.Contains(text, " +") {
					withPlus++
				} else {
					plain++
				}
				if strings.Contains(text, "Queued 400") {
					queued++
				}
				if strings.Contains(text, "Delivered") && !strings.Contains(text, "Dispatched") {
					skipped++
				}
			}
			for _, n := range []int{plain, withPlus, queued, skipped} {
				require.Positive(t, n)
			}
			undelivered := 0
			for _, r := range u.sim.Ledger().Batches[0].Recipients {
				if r.Status != "Delivered" {
					undelivered++
				}
			}
			require.Positive(t, undelivered)
			require.Less(t, undelivered, 30)
		})
	}
}

func TestRepeatedCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := signedCustomer(t, Config{Anomalies: anomalies(func(b *Anomalies) { b.Repeated = 1 })}).run()
		u.send(map[string]any{"to": numbers(50), "delivery_report": "per_recipient_final"})
		u.send(map[string]any{"to": numbers(2), "delivery_report": "full"})
		u.settle()
		l := u.sim.Ledger()
		require.Len(t, l.Callbacks, 51)
		sameNonce := 0
		byBody := map[string][]post{}
		for _, p := range u.received() {
			byBody[string(p.body)] = append(byBody[string(p.body)], p)
		}
		require.Len(t, byBody, 51)
		for _, posts := range byBody {
			require.Len(t, posts, 2, "every callback must be sent exactly twice, with the same body")
			if posts[0].header.Get(signature+"-nonce") == posts[1].header.Get(signature+"-nonce") {
				sameNonce++
			}
		}
		require.Positive(t, sameNonce)
		require.Less(t, sameNonce, 51)
		require.Equal(t, 51, u.sim.State().Acknowledged)
	})
}

func TestFailedRepetitionKeepsAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Anomalies: anomalies(func(b *Anomalies) { b.Repeated = 1 })})
		answers := []int{200, 503, 404}
		u.answer = func(n int, _ post) int { return answers[n-1] }
		u.run()
		sendOne(u)
		u.settle()
		entry := u.sim.Ledger().Callbacks[0]
		require.Equal(t, ledger.Acknowledged, entry.Result)
		require.Len(t, entry.Attempts, 3)
		require.Equal(t, 5*time.Second, offsets(u.received())[1]-offsets(u.received())[0])
	})
}

func TestOvertakenAndLateCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Anomalies: anomalies(func(b *Anomalies) { b.Overtaken = 1 })}).run()
		u.send(map[string]any{"to": numbers(20), "delivery_report": "per_recipient"})
		u.settle()
		for _, seen := range reportsByNumber(u.received()) {
			require.Len(t, seen, 2)
			require.Contains(t, seen[0], "Delivered")
			require.Contains(t, seen[1], "Dispatched")
			require.Greater(t, seen[0][len(seen[0])-24:], seen[1][len(seen[1])-24:],
				"the final status must have the later time, though it arrived first")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Anomalies: anomalies(func(b *Anomalies) { b.Late, b.LateBy = 1, time.Hour })}).run()
		u.send(map[string]any{"to": numbers(20), "delivery_report": "per_recipient_final"})
		u.send(map[string]any{"to": numbers(2), "delivery_report": "summary"})
		u.settle()
		require.Len(t, u.received(), 21)
		for _, p := range u.received() {
			if p.report.At != "" {
				at, ok := xms.ParseTime(p.report.At)
				require.True(t, ok)
				require.InDelta(t, time.Hour, p.at.Sub(at), float64(time.Millisecond))
			}
			require.Equal(t, 1, p.at.Hour())
		}
	})
}

func TestLostCallbacksAreOnlyInTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Anomalies: anomalies(func(b *Anomalies) { b.Lost = 1 })}).run()
		id := u.send(map[string]any{
			"to": numbers(20), "delivery_report": "per_recipient",
			"feedback_enabled": true,
		})
		u.settle()
		require.Equal(t, slices.Repeat([]string{"Dispatched"}, 20), statuses(u.received()))
		state := u.sim.State()
		require.Equal(t, []int{40, 20, 20, 0}, []int{state.Callbacks, state.Acknowledged, state.Lost, state.Pending})
		require.Empty(t, u.sim.Ledger().OwedFeedback())
		require.Contains(t, u.call(http.MethodGet, "/batches/"+id+"/delivery_report", "").body,
			`[{"code":0,"count":20,"status":"Delivered"}]`)
	})
}

func TestOutcomeCanLoseCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		require.NoError(t, u.sim.SetOutcome("12025550001", Outcome{Lost: true}))
		u.send(map[string]any{"to": numbers(2), "delivery_report": "per_recipient"})
		u.settle()
		require.Len(t, reportsByNumber(u.received()), 1)
		require.Equal(t, "Delivered", u.sim.Ledger().Batches[0].Recipients[1].Status)
		require.Equal(t, 2, u.sim.State().Lost)

		require.Error(t, u.sim.SetOutcome("me", Outcome{}))
		require.Error(t, u.sim.SetOutcome("12025550001", Outcome{Status: "queued"}))
		require.Error(t, u.sim.SetOutcome("12025550001", Outcome{Status: "Failed", Code: -1}))
	})
}

func TestThreeBatchesShowEveryFeedbackFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Anomalies: Anomalies{Upstream: 1e-9}})
		type seen struct {
			status  int
			kind    fault.Kind
			applied bool
		}
		var all []seen
		for range 3 {
			u.send(map[string]any{"to": numbers(1)}) // not counted: feedback is not enabled
			id := u.send(map[string]any{"to": numbers(1), "feedback_enabled": true})
			for range 3 {
				h, _ := u.try(t.Context(), http.MethodPost, "/batches/"+id+"/delivery_feedback",
					`{"recipients":["12025550000"]}`)
				calls := u.sim.Ledger().Feedback
				last := calls[len(calls)-1]
				require.Equal(t, last.Status, h.status)
				all = append(all, seen{last.Status, last.Fault, last.Applied})
				if h.status == http.StatusTooManyRequests {
					require.Contains(t, []string{"1", "Sat, 01 Jan 2000 00:00:02 GMT"}, h.header.Get("Retry-After"))
				}
			}
		}
		fine := seen{202, "", true}
		require.Equal(t, []seen{
			{429, fault.Status, false},
			{500, fault.Status, false},
			fine,
			{500, fault.AppliedBut500, true},
			{429, fault.Status, false},
			fine,
			{0, fault.Reset, false},
			{202, fault.Latency, true},
			fine,
		}, all)
	})
}

func TestReadsFailButSendsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Anomalies: anomalies(func(b *Anomalies) { b.Upstream = 0.5 })})
		wrong := 0
		for range 50 {
			id := u.send(map[string]any{"to": numbers(1)})
			if h, err := u.try(t.Context(), http.MethodGet, "/batches/"+id, ""); err != nil || h.status != 200 {
				wrong++
			}
		}
		require.Greater(t, wrong, 10)
		require.Less(t, wrong, 40)
	})
}
