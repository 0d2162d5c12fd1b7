package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestAnUnknownFlagIsLookedUpOnce(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))

		h.delivered(planA, batch1, bob)
		h.pass(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.feedback(bob))
		require.Len(t, h.upstream.asked(getBatch), 1)
		require.Len(t, h.upstream.asked(postFeedback), 2)
		require.Equal(t, 1.0, h.counted("batch_lookups_total", "plan", planA, "result", "found"))

		b := h.batch(planA, batch1)
		require.Equal(t, &store.Facts{
			BatchID: batch1, FeedbackEnabled: true, ReportKind: "per_recipient_final", ClientReference: "otp/8a02", Recipients: 2,
			CreatedAt:  time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
			ModifiedAt: time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
			Source:     store.FromPoll,
		}, b.Facts)
	})
}

// What no store could file under a key is not kept: a number too long to be one counts as a group.
func TestLongNumbersOfALookUp(t *testing.T) {
	for _, length := range []int{65, 300, 3000, 100_000} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			long, spaced := strings.Repeat("4", length), "4"+strings.Repeat(" ", length)+"4"
			h.upstream.knowsTo(batch1, ada, long, spaced, strings.Repeat("4", 64))
			h.delivered(planA, batch1, ada)
			h.pass(5 * time.Second)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			facts := h.batch(planA, batch1).Facts
			require.Equal(t, 4, facts.Recipients)
			require.Equal(t, 2, facts.Groups)
			page, err := h.store.Recipients(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, store.RecipientQuery{})
			require.NoError(t, err)
			for _, r := range page.Items {
				require.LessOrEqual(t, len(r.Number), 64)
			}
			require.Len(t, page.Items, 2)
		})
	}
}

func TestABatchThatWantsNoFeedbackGetsNone(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, false)
		h.delivered(planA, batch1, ada)
		h.pass(time.Hour)
		require.Empty(t, h.upstream.asked(postFeedback))
		require.Len(t, h.upstream.asked(getBatch), 1)
		require.Equal(t, store.FlagUnwanted, h.batch(planA, batch1).Flag)
		require.Nil(t, h.batch(planA, batch1).Task)
	})
}

// A flag that is not known is never guessed: the task waits for Sinch to tell, and is dead in the end.
func TestAFlagThatCannotBeLookedUp(t *testing.T) {
	inHouse(t, patient, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(getBatch, 1<<20, says(500, ""))
		h.delivered(planA, batch1, ada)
		h.pass(71 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		h.pass(2 * time.Hour)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, store.ReasonServer, h.batch(planA, batch1).Dead.Reason)
		require.Empty(t, h.upstream.asked(postFeedback))

		h.upstream.heal()
		_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
		require.NoError(t, err)
		h.pass(time.Hour)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

func TestABatchThatSinchDoesNotKnow(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows("another", true)
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)
		b := h.batch(planA, batch1)
		require.True(t, b.Facts.Missing)
		require.Equal(t, store.FlagUnknown, b.Flag)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, b.Dead.Reason)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Empty(t, h.upstream.asked(postFeedback))

		// The plan was configured for the wrong region, say. Sent again, it is asked again.
		h.upstream.knows(batch1, true)
		_, err := h.store.Requeue(t.Context(), b.Key(), now())
		require.NoError(t, err)
		h.pass(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

// An id that no path can hold cannot be asked about, now or ever.
func TestABatchIDThatNoPathCanHold(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.delivered(planA, "..", ada)
		h.pass(time.Minute)
		require.Equal(t, store.ReasonRejected, h.batch(planA, "..").Dead.Reason)
		require.Empty(t, h.upstream.calls)
	})
}

// A summary names nobody: the full report is read once, and those it names are told to Sinch.
func TestASummaryIsCompletedOnce(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
		h.report(planA, batchReport(batch1, false, ada, bob))
		h.pass(time.Hour)

		require.Len(t, h.upstream.asked(getReport), 1)
		calls := h.upstream.asked(postFeedback)
		require.Len(t, calls, 1)
		require.Equal(t, []string{ada, bob}, calls[0].recipients)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		b := h.batch(planA, batch1)
		require.Nil(t, b.Task)
		require.False(t, b.WantFull)
		require.Equal(t, 2, b.Reported[0].Messages())
		require.Equal(t, store.FromPoll, b.Reports[1].Source)
	})
}

func TestAFullReportThatNamesNobodyIsNotReadAgain(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.reportsFull(batch1, batchReport(batch1, false, ada, bob))
		h.report(planA, batchReport(batch1, false, ada, bob))
		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(getReport), 1)
		require.Empty(t, h.upstream.asked(postFeedback))
		require.Nil(t, h.batch(planA, batch1).Task)
	})
}

func TestASummaryOfABatchThatWantsNoFeedbackIsLeftAlone(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, false)
		h.report(planA, batchReport(batch1, false, ada, bob))
		h.pass(time.Hour)
		require.Empty(t, h.upstream.asked(getReport))
		require.Empty(t, h.upstream.asked(postFeedback))
	})
}

// Whoever is known is told to Sinch also when the full report cannot be had; that it could not is dead by itself.
func TestAFullReportThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		reason store.Reason
	}{
		"rejected":       {400, `{"code":"x","text":"no"}`, store.ReasonRejected},
		"down":           {500, ``, store.ReasonServer},
		"not a report":   {200, `{"type":`, store.ReasonServer},
		"a web page":     {200, `<html>`, store.ReasonNetwork},
		"not found":      {404, ``, store.ReasonNotEnabledOrUnknown},
		"another report": {200, string(batchReport("other", true, ada)), store.ReasonServer},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, patient, func(t *testing.T, h *house) {
				h.upstream.knows(batch1, true)
				h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
				h.upstream.fail(getReport, 1<<20, says(test.status, test.body))
				h.report(planA, batchReport(batch1, false, ada, bob))
				h.delivered(planA, batch1, ada)
				h.pass(75 * time.Hour)

				b := h.batch(planA, batch1)
				require.True(t, b.Dead.Full)
				require.Equal(t, test.reason, b.Dead.Reason)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
				require.Len(t, h.upstream.asked(postFeedback), 1)

				h.upstream.heal()
				_, err := h.store.Requeue(t.Context(), b.Key(), now())
				require.NoError(t, err)
				h.pass(time.Hour)
				require.Equal(t, store.FeedbackSent, h.feedback(bob))
				require.Nil(t, h.batch(planA, batch1).Dead)
			})
		})
	}
}

func TestAFullReportOfABatchThatIsGone(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows("another", true)
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.report(planA, batchReport(batch1, false, ada, bob))
		h.pass(time.Minute)
		b := h.batch(planA, batch1)
		require.True(t, b.Dead.Full)
		require.True(t, b.Facts.Missing)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Len(t, h.upstream.asked(getReport), 1)
	})
}

func TestManyRecipientsTakeFewCalls(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		numbers := make([]string, 2500)
		for i := range numbers {
			numbers[i] = fmt.Sprintf("4477009%05d", i)
		}
		h.report(planA, batchReport(batch1, true, numbers...))
		h.pass(time.Minute)
		var sizes []int
		told := make(map[string]bool)
		for _, c := range h.upstream.asked(postFeedback) {
			sizes = append(sizes, len(c.recipients))
			for _, r := range c.recipients {
				require.False(t, told[r], "told twice")
				told[r] = true
			}
		}
		require.Equal(t, []int{1000, 1000, 500}, sizes)
		require.Equal(t, 2500, h.batch(planA, batch1).Feedback.Sent)
		require.Len(t, h.upstream.asked(getBatch), 1)
	})
}
