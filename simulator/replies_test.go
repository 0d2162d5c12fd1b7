package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// received is the body of a callback about an inbound message.
type received struct {
	Type, ID, From, To, UDH string
	Body                    any
	ClientReference         string `json:"client_reference"`
	OperatorID              string `json:"operator_id"`
	ReceivedAt              string `json:"received_at"`
	SentAt                  string `json:"sent_at"`
}

// inbound returns the bodies of the callbacks about inbound messages, in the order of arrival.
func (u *customer) inbound() (all []received) {
	u.t.Helper()
	for _, p := range u.received() {
		var in received
		if strings.HasPrefix(p.report.Type, "mo_") {
			require.NoError(u.t, json.Unmarshal(p.body, &in))
			all = append(all, in)
		}
	}
	return all
}

// byID returns how often each inbound message was called back.
func byID(all []received) map[string]int {
	times := map[string]int{}
	for _, in := range all {
		times[in.ID]++
	}
	return times
}

func TestRecipientsReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Replies: 1, Plans: []Plan{{
			ID: testPlan, Token: testToken, CallbackURL: hooks, Secret: "key",
		}}}).run()
		require.NoError(t, u.sim.SetOutcome(numbers(1)[0], Outcome{Status: "Failed", Code: 153}))
		start := time.Now()
		id := u.send(map[string]any{"to": numbers(101), "from": "+54321", "client_reference": "ref"})
		u.settle()
		all := u.inbound()
		require.Len(t, byID(all), 100, "each recipient but the first replies once")
		require.Len(t, all, 100, "a calm simulator repeats nothing")
		types, texts, optional := map[string]int{}, map[any]int{}, map[string]int{}
		for _, in := range all {
			types[in.Type]++
			require.Equal(t, "54321", in.To)
			require.Equal(t, start.Add(4*defaultPace).UTC().Format("2006-01-02T15:04:05.000Z"), in.ReceivedAt)
			for name, value := range map[string]string{
				"client_reference": in.ClientReference, "operator_id": in.OperatorID, "sent_at": in.SentAt,
			} {
				if value != "" {
					optional[name]++
				}
			}
			switch in.Type {
			case "mo_text":
				texts[in.Body.(string)]++
			case "mo_binary":
				require.NotEmpty(t, in.UDH)
			case "mo_media":
				require.Len(t, in.Body.(map[string]any)["media"], 2)
			}
		}
		assert.Len(t, types, 3, "%v", types)
		assert.Positive(t, texts["STOP"])
		assert.Len(t, texts, 15, "%v", texts)
		for _, name := range []string{"client_reference", "operator_id", "sent_at"} {
			assert.InDelta(t, 50, optional[name], 25, name)
		}
		for _, p := range u.received() {
			require.NotEmpty(t, p.header.Get("X-Sinch-Webhook-Signature"))
		}

		acknowledged := u.sim.Ledger().AcknowledgedInbound()
		require.Len(t, acknowledged, 100)
		for i, c := range acknowledged {
			require.Equal(t, id, c.Inbound.Answers)
			require.Empty(t, c.Batch, "an inbound message belongs to no batch")
			require.Equal(t, "54321", c.Inbound.To)
			require.Contains(t, numbers(101)[1:], c.Recipients[0])
			require.Contains(t, byID(all), c.Inbound.ID, "%d", i)
		}
		require.Equal(t, 100, u.sim.State().Inbound)
	})
}

func TestTheRateDecidesWhoReplies(t *testing.T) {
	replies := func(seed uint64, rate float64, from string) (repliers []string) {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Calm: true, Seed: seed, Replies: rate}).run()
			u.send(map[string]any{"to": numbers(400), "from": from})
			u.settle()
			for _, in := range u.inbound() {
				repliers = append(repliers, in.From)
			}
		})
		return repliers
	}
	tenth := replies(1, 0.1, "54321")
	assert.InDelta(t, 40, len(tenth), 20)
	assert.ElementsMatch(t, tenth, replies(1, 0.1, "12025550100"), "the same seed")
	assert.NotEqual(t, tenth, replies(2, 0.1, "54321"), "another seed")
	assert.Empty(t, replies(1, 0, "54321"))
	assert.Empty(t, replies(1, 1, "Shop"), "a phone cannot answer an alphanumeric sender")
}

// TestInboundAnomalies checks that the callbacks about inbound messages have the same faults as reports: repeats, late
// ones, lost ones and numbers with a plus sign.
func TestInboundAnomalies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Replies: 1, Anomalies: Anomalies{
			Undelivered: -1, Repeated: 0.2, Late: 0.2, Lost: 0.2, Plus: 0.2, LateBy: time.Hour,
		}}).run()
		u.send(map[string]any{"to": numbers(200)})
		u.settle()
		start := u.sim.Ledger().Batches[0].Recipients[0].At
		var repeated, plus, late int
		times := byID(u.inbound())
		for _, n := range times {
			require.LessOrEqual(t, n, 2)
			repeated += n - 1
		}
		for _, p := range u.received() {
			if p.at.Sub(start) > 30*time.Minute {
				late++
			}
		}
		for _, in := range u.inbound() {
			if in.From[0] == '+' {
				plus++
			}
		}
		assert.InDelta(t, 160, len(times), 25, "a fifth is lost")
		assert.InDelta(t, 32, repeated, 20)
		assert.InDelta(t, 38, plus, 25)
		assert.InDelta(t, 38, late, 25)
		require.Len(t, u.sim.Ledger().AcknowledgedInbound(), len(times))
		require.Len(t, u.sim.Ledger().Callbacks, 200)
		for _, c := range u.sim.Ledger().Callbacks {
			require.Equal(t, c.Result == ledger.Lost, times[c.Inbound.ID] == 0)
		}
	})
}

// TestInboundIsRetried checks that an inbound message that is answered 5xx comes again with the same body and a new
// nonce.
func TestInboundIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Replies: 1, Plans: []Plan{{
			ID: testPlan, Token: testToken, CallbackURL: hooks, Secret: "key",
		}}})
		u.answer = func(n int, _ post) int {
			if n <= 2 {
				return http.StatusInternalServerError
			}
			return http.StatusOK
		}
		u.run()
		u.send(map[string]any{"to": numbers(1)})
		u.settle()
		posts := u.received()
		require.Len(t, posts, 3)
		require.Equal(t, []time.Duration{defaultRetryUnit, 2 * defaultRetryUnit}, offsets(posts))
		nonces := map[string]bool{}
		for _, p := range posts {
			require.Equal(t, string(posts[0].body), string(p.body))
			nonces[p.header.Get("X-Sinch-Webhook-Signature-Nonce")] = true
		}
		require.Len(t, nonces, 3)
		require.Len(t, u.sim.Ledger().AcknowledgedInbound(), 1)
	})
}

// TestRepliesHaveOtherNoncesThanReports checks that no two requests are signed with the same nonce, even if the reports
// and the first three attempts to call back the replies are made within a millisecond.
func TestRepliesHaveOtherNoncesThanReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{
			Calm: true, Replies: 1, Pace: time.Microsecond, RetryUnit: time.Microsecond,
			Plans: []Plan{{ID: testPlan, Token: testToken, CallbackURL: hooks, Secret: "key"}},
		})
		attempts := map[string]int{}
		var mu sync.Mutex
		u.answer = func(_ int, p post) int {
			mu.Lock()
			defer mu.Unlock()
			attempts[string(p.body)]++
			if strings.HasPrefix(p.report.Type, "mo_") && attempts[string(p.body)] < 3 {
				return http.StatusInternalServerError
			}
			return http.StatusOK
		}
		u.run()
		u.send(map[string]any{"to": numbers(50), "delivery_report": "per_recipient"})
		u.settle()
		nonces := map[string]bool{}
		for _, p := range u.received() {
			nonces[p.header.Get("X-Sinch-Webhook-Signature-Nonce")] = true
		}
		require.Len(t, nonces, 50*2+50*3)
	})
}

// TestWithoutURLNobodyReplies checks that a plan without a callback URL gets no inbound messages.
func TestWithoutURLNobodyReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Replies: 1, Plans: []Plan{{ID: testPlan, Token: testToken}}}).run()
		u.send(map[string]any{"to": numbers(1)})
		u.settle()
		require.Empty(t, u.sim.Ledger().Callbacks)
	})
	_, err := New(Config{Replies: 1.1, Plans: []Plan{{ID: testPlan, Token: testToken}}})
	require.ErrorContains(t, err, "replies must be between 0 and 1")
}
