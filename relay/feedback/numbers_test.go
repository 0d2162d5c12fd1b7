package feedback

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

// Sinch documents bare digits, + and 00, spaces, dashes and brackets. Every other spelling that the fold reads as the
// same number is also sent as its digits.
func TestFeedbackNamesDigits(t *testing.T) {
	spellings := map[string]string{
		"+447700900101": "447700900101", "00447700900102": "447700900102", "+44 7700 900-103": "447700900103",
		"44\u00a07700\u00a0900104": "447700900104", "447700.900.105": "447700900105", "44–7700—900106": "447700900106",
		"(44) [7700] 900107": "447700900107", "\u202a+447700900108\u202c": "447700900108", "54321": "54321", "7": "7",
		"447700900109123": "447700900109123",
	}
	var spelled []string
	for number := range spellings {
		spelled = append(spelled, number)
	}
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.RecordReport(planA, relaytest.BatchReport(batch1, true, spelled...))
		h.Advance(time.Minute)
		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Len(t, calls, 1)
		for _, number := range spelled {
			require.Contains(t, calls[0].Recipients, spellings[number])
			require.Equal(t, store.FeedbackSent, h.Feedback(number), "%q", number)
		}
		require.Len(t, calls[0].Recipients, len(spellings))
	})
}

// A recipient that is not a number is never sent: Sinch would refuse the whole call.
func TestNonNumbersAreDeadWithoutACall(t *testing.T) {
	for name, wrong := range map[string][]string{
		"masked":       {"4477009001**"},
		"a word":       {"anonymous"},
		"too long":     {"4477009001011234"},
		"several":      {"447700900xxx", "Unknown", "+44 7700 900101 ext 5", "٤٤٧٧٠٠", "4.47701E+11"},
		"only wrong":   {"anonymous", "withheld"},
		"a thousand":   numbered("hidden-%d", 1000),
		"a list":       {"447700900101,447700900102"},
		"a SIP uri":    {"sip:447700900101@example.com"},
		"a lone digit": {"4477009001٠1"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.Upstream.AddBatch(batch1, true)
				h.RecordFlag(planA, batch1, true)
				good := []string{ada, bob}
				if name == "only wrong" {
					good = nil
				}
				h.RecordReport(planA, relaytest.BatchReport(batch1, true, append(wrong, good...)...))
				h.Advance(time.Minute)

				calls := h.Upstream.Requests(relaytest.PostFeedback)
				if good == nil {
					require.Empty(t, calls, "an empty list would mean all recipients")
				} else {
					require.Len(t, calls, 1)
					require.ElementsMatch(t, good, calls[0].Recipients)
				}
				b := h.Batch(planA, batch1)
				require.Nil(t, b.Task)
				require.Equal(t, store.FeedbackCounts{Sent: len(good), Dead: len(wrong)}, b.Feedback)
				require.Equal(t, store.ReasonNotANumber, b.Dead.Reason)
				require.Equal(t, store.FeedbackDead, h.Feedback(wrong[0]))
				require.NotZero(t, h.Metric("feedback_calls_total", "plan", planA, "reason", "not_a_number"))

				// After a requeue it is dead again.
				n, err := h.Store.Requeue(t.Context(), b.Key(), store.Now())
				require.NoError(t, err)
				require.Equal(t, len(wrong), n)
				h.Advance(time.Minute)
				require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), len(calls))
				require.Equal(t, store.FeedbackDead, h.Feedback(wrong[0]))
			})
		})
	}
}

func numbered(format string, n int) []string {
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = fmt.Sprintf(format, i)
	}
	return numbers
}

// Sinch refuses a call as a whole. The call is split until only the refused recipients are dead.
func TestARefusedCallIsSplit(t *testing.T) {
	for name, test := range map[string]struct {
		recipients int
		refused    func(i int) bool
		most       int // calls
	}{
		"the first":      {1000, func(i int) bool { return i == 0 }, 30},
		"the last":       {1000, func(i int) bool { return i == 999 }, 30},
		"one of two":     {2, func(i int) bool { return i == 1 }, 3},
		"three of many":  {1000, func(i int) bool { return i == 17 || i == 500 || i == 777 }, 80},
		"two beside":     {1000, func(i int) bool { return i == 499 || i == 500 }, 60},
		"every second":   {64, func(i int) bool { return i%2 == 0 }, 2*64 + 6},
		"all":            {100, func(int) bool { return true }, 2*100 + 7},
		"more than fit":  {2500, func(i int) bool { return i == 1200 }, 40},
		"the middle few": {1000, func(i int) bool { return i >= 490 && i < 500 }, 60},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.Upstream.AddBatch(batch1, true)
				h.RecordFlag(planA, batch1, true)
				numbers := numbered("4477009%05d", test.recipients)
				var refused []string
				for i, n := range numbers {
					if test.refused(i) {
						refused = append(refused, n)
					}
				}
				h.Upstream.RejectNumbers(refused...)
				h.RecordReport(planA, relaytest.BatchReport(batch1, true, numbers...))
				h.Advance(10 * time.Minute)

				b := h.Batch(planA, batch1)
				require.Nil(t, b.Task)
				require.Equal(t, store.FeedbackCounts{Sent: test.recipients - len(refused), Dead: len(refused)}, b.Feedback)
				require.Equal(t, store.ReasonRejected, b.Dead.Reason)
				for _, n := range refused {
					require.Equal(t, store.FeedbackDead, h.Feedback(n))
				}
				calls := h.Upstream.Requests(relaytest.PostFeedback)
				require.LessOrEqual(t, len(calls), test.most)
				told := make(map[string]int)
				for _, c := range calls {
					require.NotEmpty(t, c.Recipients)
					for _, r := range c.Recipients {
						if c.Accepted {
							told[r]++
						}
					}
				}
				require.Len(t, told, b.Feedback.Sent)
				for number, times := range told {
					require.Equal(t, 1, times, "%s", number)
				}
			})
		})
	}
}

// Failures and a restart while a call is split lose no feedback, and a call that Sinch refused is not repeated whole.
func TestASplitCallSurvivesFailuresAndRestarts(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		numbers := numbered("4477009%05d", 1000)
		h.Upstream.RejectNumbers(numbers[10])
		h.RecordReport(planA, relaytest.BatchReport(batch1, true, numbers...))
		for len(h.Upstream.Requests(relaytest.PostFeedback)) < 4 {
			h.Advance(10 * time.Millisecond)
		}
		h.Upstream.Fail(relaytest.PostFeedback, 3, relaytest.Respond(503, ""))
		for h.Batch(planA, batch1).Task.Reason != store.ReasonServer {
			h.Advance(10 * time.Millisecond)
		}
		require.LessOrEqual(t, h.Batch(planA, batch1).Task.Limit, 125)

		h.stop()
		before := len(h.Upstream.Requests(relaytest.PostFeedback))
		again := newHarnessOn(h.Harness, nil)
		again.start()
		h.Advance(10 * time.Minute)

		require.LessOrEqual(t, len(h.Upstream.Requests(relaytest.PostFeedback)[before].Recipients), 125)
		require.Equal(t, store.FeedbackCounts{Sent: 999, Dead: 1}, h.Batch(planA, batch1).Feedback)
		require.Equal(t, store.FeedbackDead, h.Feedback(numbers[10]))
		require.LessOrEqual(t, len(h.Upstream.Requests(relaytest.PostFeedback)), 35)
	})
}

// A call that Sinch refuses for a reason other than its recipients is not split.
func TestOtherRefusalsAreNotSplit(t *testing.T) {
	for status, calls := range map[int]int{400: 3, 413: 3, 422: 3, 405: 1, 409: 1, 415: 1} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.Upstream.AddBatch(batch1, true)
			h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.Respond(status, `{"code":"x","text":"no"}`))
			h.RecordFlag(planA, batch1, true)
			h.RecordDelivered(planA, batch1, ada, bob)
			h.Advance(time.Minute)
			require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), calls, "%d", status)
			require.Equal(t, store.FeedbackCounts{Dead: 2}, h.Batch(planA, batch1).Feedback)
		})
	}
}
