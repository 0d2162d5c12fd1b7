package feedback

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

func TestAnUnknownFlagIsLookedUpOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))

		h.RecordDelivered(planA, batch1, bob)
		h.Advance(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.Feedback(bob))
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 1)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 2)
		require.Equal(t, 1.0, h.Metric("batch_lookups_total", "plan", planA, "result", "found"))

		b := h.Batch(planA, batch1)
		require.Equal(t, &store.BatchInfo{
			BatchID: batch1, FeedbackEnabled: true, ReportKind: "per_recipient_final", ClientReference: "otp/8a02",
			Recipients: 2,
			CreatedAt:  time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
			ModifiedAt: time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
			Source:     store.FromPoll,
		}, b.Info)
	})
}

// A store cannot use a number of more than 64 digits as a key. Such a number counts as a group.
func TestLongNumbersOfALookUp(t *testing.T) {
	for _, length := range []int{65, 300, 3000, 100_000} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			long, spaced := strings.Repeat("4", length), "4"+strings.Repeat(" ", length)+"4"
			h.Upstream.AddBatchTo(batch1, ada, long, spaced, strings.Repeat("4", 64))
			h.RecordDelivered(planA, batch1, ada)
			h.Advance(5 * time.Second)
			require.Equal(t, store.FeedbackSent, h.Feedback(ada))
			info := h.Batch(planA, batch1).Info
			require.Equal(t, 4, info.Recipients)
			require.Equal(t, 2, info.Groups)
			page, err := h.Store.Recipients(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, store.RecipientQuery{})
			require.NoError(t, err)
			for _, r := range page.Items {
				require.LessOrEqual(t, len(r.Number), 64)
			}
			require.Len(t, page.Items, 2)
		})
	}
}

func TestABatchThatDoesNotWantFeedbackGetsNone(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, false)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Hour)
		require.Empty(t, h.Upstream.Requests(relaytest.PostFeedback))
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 1)
		require.Equal(t, store.FlagUnwanted, h.Batch(planA, batch1).Flag)
		require.Nil(t, h.Batch(planA, batch1).Task)
	})
}

// An unknown flag is never guessed: the task is retried until Sinch answers, and is dead after GiveUp.
func TestAFlagThatCannotBeLookedUp(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.GetBatch, 1<<20, relaytest.Respond(500, ""))
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(5 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
		h.Advance(2 * time.Hour)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
		require.Equal(t, store.ReasonServer, h.Batch(planA, batch1).Dead.Reason)
		require.Empty(t, h.Upstream.Requests(relaytest.PostFeedback))

		h.Upstream.Heal()
		_, err := h.Store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, store.Now())
		require.NoError(t, err)
		h.Advance(time.Hour)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}

func TestABatchThatSinchDoesNotKnow(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch("another", true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)
		b := h.Batch(planA, batch1)
		require.True(t, b.Info.Unknown)
		require.Equal(t, store.FlagUnknown, b.Flag)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, b.Dead.Reason)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
		require.Empty(t, h.Upstream.Requests(relaytest.PostFeedback))

		// The plan had the wrong region, for example. After a requeue the batch is fetched again.
		h.Upstream.AddBatch(batch1, true)
		_, err := h.Store.Requeue(t.Context(), b.Key(), store.Now())
		require.NoError(t, err)
		h.Advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}

// A batch id that cannot be part of a URL path can never be looked up.
func TestABatchIDThatNoPathCanHold(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.RecordDelivered(planA, "..", ada)
		h.Advance(time.Minute)
		require.Equal(t, store.ReasonRejected, h.Batch(planA, "..").Dead.Reason)
		require.Empty(t, h.Upstream.Requests(""))
	})
}

// A summary does not name recipients: the full report is read once, and feedback names the recipients in it.
func TestASummaryIsCompletedOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
		h.RecordReport(planA, relaytest.BatchReport(batch1, false, ada, bob))
		h.Advance(time.Hour)

		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Len(t, calls, 1)
		require.Equal(t, []string{ada, bob}, calls[0].Recipients)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
		b := h.Batch(planA, batch1)
		require.Nil(t, b.Task)
		require.False(t, b.NeedsFullReport)
		require.Equal(t, 2, b.Reported[0].Messages())
		require.Equal(t, store.FromPoll, b.Reports[1].Source)
	})
}

func TestAFullReportWithoutRecipientsIsNotReadAgain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, false, ada, bob))
		h.RecordReport(planA, relaytest.BatchReport(batch1, false, ada, bob))
		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		require.Empty(t, h.Upstream.Requests(relaytest.PostFeedback))
		require.Nil(t, h.Batch(planA, batch1).Task)
	})
}

func TestASummaryOfABatchThatDoesNotWantFeedbackIsIgnored(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, false)
		h.RecordReport(planA, relaytest.BatchReport(batch1, false, ada, bob))
		h.Advance(time.Hour)
		require.Empty(t, h.Upstream.Requests(relaytest.GetReport))
		require.Empty(t, h.Upstream.Requests(relaytest.PostFeedback))
	})
}

// Recipients that are already known get their feedback even if the full report cannot be read. Only that read is dead.
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
		"another report": {200, string(relaytest.BatchReport("other", true, ada)), store.ReasonServer},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patient, func(t *testing.T, h *harness) {
				h.Upstream.AddBatch(batch1, true)
				h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
				h.Upstream.Fail(relaytest.GetReport, 1<<20, relaytest.Respond(test.status, test.body))
				h.RecordReport(planA, relaytest.BatchReport(batch1, false, ada, bob))
				h.RecordDelivered(planA, batch1, ada)
				h.Advance(7 * time.Hour)

				b := h.Batch(planA, batch1)
				require.True(t, b.Dead.FullReport)
				require.Equal(t, test.reason, b.Dead.Reason)
				require.Equal(t, store.FeedbackSent, h.Feedback(ada))
				require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)

				h.Upstream.Heal()
				_, err := h.Store.Requeue(t.Context(), b.Key(), store.Now())
				require.NoError(t, err)
				h.Advance(time.Hour)
				require.Equal(t, store.FeedbackSent, h.Feedback(bob))
				require.Nil(t, h.Batch(planA, batch1).Dead)
			})
		})
	}
}

func TestAFullReportOfAnUnknownBatch(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch("another", true)
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.RecordReport(planA, relaytest.BatchReport(batch1, false, ada, bob))
		h.Advance(time.Minute)
		b := h.Batch(planA, batch1)
		require.True(t, b.Dead.FullReport)
		require.True(t, b.Info.Unknown)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
	})
}

func TestManyRecipientsTakeFewCalls(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		numbers := make([]string, 2500)
		for i := range numbers {
			numbers[i] = fmt.Sprintf("4477009%05d", i)
		}
		h.RecordReport(planA, relaytest.BatchReport(batch1, true, numbers...))
		h.Advance(time.Minute)
		var sizes []int
		named := make(map[string]bool)
		for _, c := range h.Upstream.Requests(relaytest.PostFeedback) {
			sizes = append(sizes, len(c.Recipients))
			for _, r := range c.Recipients {
				require.False(t, named[r], "recipient named twice")
				named[r] = true
			}
		}
		require.Equal(t, []int{1000, 1000, 500}, sizes)
		require.Equal(t, 2500, h.Batch(planA, batch1).Feedback.Sent)
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 1)
	})
}
