package fold

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestErase(t *testing.T) {
	for _, c := range []struct {
		title         string
		alice, bob    store.Outcome // of the attempts to send their feedback; OutcomeProgress for none
		after         store.FeedbackState
		pending, dead bool // what is left for bob
	}{
		{title: "owed for both", after: store.FeedbackNone, pending: true},
		{title: "owed for one", bob: store.OutcomeAccepted, after: store.FeedbackNone},
		{title: "sent", alice: store.OutcomeAccepted, after: store.FeedbackSent, pending: true},
		{title: "dead for one", alice: store.OutcomeDead, after: store.FeedbackNone, pending: true},
		{title: "dead for both", alice: store.OutcomeDead, bob: store.OutcomeDead, after: store.FeedbackNone, dead: true},
	} {
		t.Run(c.title, func(t *testing.T) {
			l := owing(t, alice, bob)
			for number, outcome := range map[string]store.Outcome{alice: c.alice, bob: c.bob} {
				if outcome != store.OutcomeProgress {
					l.fold(arrives(7, settles(outcome, number)))
				}
			}
			before, reports, states := l.batch.Tally(), l.recipient(alice).Reports, l.batch.States
			r := *l.recipient(alice)
			changes := Erase(l.batch, &r, store.ErasedPrefix+"abc")
			require.Equal(t, store.Changes{Plan: "plan", BatchID: "batch", Before: before, After: l.batch.Tally()}, changes)
			require.Equal(t, "erased-abc", r.Number)
			require.Equal(t, reports, r.Reports)
			require.Equal(t, c.after, r.Feedback)
			require.Equal(t, c.after == store.FeedbackNone, r.FeedbackAt.IsZero())
			require.Equal(t, c.pending, l.batch.Task != nil)
			require.Equal(t, c.dead, l.batch.Dead != nil)
			require.Equal(t, map[dlr.Status]int{dlr.Delivered: 2}, states, "the counts stay")
			require.Equal(t, 2, l.batch.Reported[0].Named)
		})
	}
}
