package fold

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// logged is a report with its place in the log.
type logged struct {
	store.Arrival
	store.Ref
}

// foldLogged folds arrivals one by one and returns those that were logged.
func (l *ledger) foldLogged(arrivals ...store.Arrival) (log []logged) {
	l.t.Helper()
	for _, a := range arrivals {
		before := len(l.log)
		l.fold(a)
		if len(l.log) > before {
			log = append(log, logged{a, store.Ref{Chunk: l.chunk}})
		}
	}
	return log
}

// rebuild restores the recipients missing in l, as a store does.
func (l *ledger) rebuild(r *Rebuild, log []logged) {
	l.t.Helper()
	r.Policy = l.policy
	for _, entry := range log {
		rows := make(map[string]*Row)
		Touches(entry.Arrival, func(digits string) {
			if kept := l.recipients[digits]; kept != nil {
				rows[digits] = &Row{Recipient: cloneRecipient(kept)}
			}
		})
		a := entry.Arrival
		if done := r.Folded(&a); done < a.Entry.Names() {
			a = Part(&a, 0, done)
		}
		r.Apply(rows, a, entry.Ref)
		for digits, row := range rows {
			if row.Changed {
				require.Equal(l.t, FeedbackUnsettled, row.Feedback)
				l.recipients[digits] = &row.Recipient
			}
		}
	}
	for _, rec := range l.recipients {
		r.Tally(rec)
	}
	v := r.Decide()
	for _, rec := range l.recipients {
		if rec.Feedback == FeedbackUnsettled {
			v.Settle(rec, r.Policy, r.Batch.LastAt)
		}
		r.Count(rec)
	}
	r.Finish()
	l.batch = r.Batch
}

// Rebuilding from the report log restores the original rows.
func TestRebuildRestoresTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t, drawPolicy(t))
		arrivals := []store.Arrival{}
		for i, r := range rapid.SliceOfN(rapid.Custom(drawReport), 1, 12).Draw(t, "reports") {
			for k := range r.Entries { // the log lacks the operator's time of a duplicate
				r.Entries[k].OperatorAt = at(0).AddDate(-10, 0, 0)
			}
			arrivals = append(arrivals, arrives(i, r))
		}
		log := l.foldLogged(arrivals...)
		batch, recipients := cloneBatch(l.batch), make(map[string]store.Recipient)
		for digits, r := range l.recipients {
			recipients[digits] = cloneRecipient(r)
			if len(r.Reports) > 0 && rapid.Bool().Draw(t, "lost") {
				delete(l.recipients, digits)
			}
		}
		lost := rapid.Bool().Draw(t, "batch lost")
		r := &Rebuild{Batch: cloneBatch(batch)}
		if lost {
			began := &store.Batch{Plan: "plan", ID: "batch", FirstAt: batch.FirstAt, LastAt: batch.FirstAt}
			r = &Rebuild{Lost: true, Batch: began}
		}
		l.rebuild(r, log)
		require.Len(t, l.recipients, len(recipients))
		for digits, was := range recipients {
			is := l.recipients[digits]
			require.Equal(t, was.Feedback, is.Feedback)
			require.Len(t, is.Reports, len(was.Reports))
			for i := range was.Reports {
				was.Reports[i].Repeats, is.Reports[i].Repeats = 0, 0
				require.Equal(t, was.Reports[i], is.Reports[i])
			}
		}
		if !lost {
			require.Equal(t, batch, l.batch)
			return
		}
		require.Len(t, l.batch.States, len(batch.States))
		for s, n := range batch.States {
			require.Equal(t, n, l.batch.States[s])
		}
		require.Equal(t, batch.Reported, l.batch.Reported)
		require.Equal(t, batch.Feedback, l.batch.Feedback)
		require.Equal(t, batch.Total, l.batch.Total)
		require.Equal(t, batch.NeedsFullReport, l.batch.NeedsFullReport)
		require.Equal(t, batch.Task != nil, l.batch.Task != nil)
		for i := range batch.Reports {
			batch.Reports[i].Repeats = 0
		}
		require.Equal(t, batch.Reports, l.batch.Reports)
	})
}

func TestFeedbackOfRebuiltRecipients(t *testing.T) {
	for name, c := range map[string]struct {
		on              store.On
		old, intact     store.FeedbackCounts
		rebuilt, earned int
		holes, lost     bool
		want            Verdict
	}{
		"all were sent": {
			old: store.FeedbackCounts{Sent: 5}, intact: store.FeedbackCounts{Sent: 3}, rebuilt: 2, earned: 2,
			want: Verdict{true, store.FeedbackSent},
		},
		"some were sent": {
			old: store.FeedbackCounts{Sent: 5}, intact: store.FeedbackCounts{Sent: 3}, rebuilt: 4, earned: 2,
			want: Verdict{false, store.FeedbackSent},
		},
		"all were dead": {
			old: store.FeedbackCounts{Dead: 2}, rebuilt: 2, earned: 2, want: Verdict{true, store.FeedbackDead},
		},
		"sent and owed": {
			old: store.FeedbackCounts{Sent: 1, Owed: 1}, rebuilt: 3, earned: 2, want: Verdict{false, store.FeedbackOwed},
		},
		"all were confirmed": {
			on: store.OnConfirmed, old: store.FeedbackCounts{Sent: 1, Owed: 1}, rebuilt: 2,
			want: Verdict{true, store.FeedbackOwed},
		},
		"none earned feedback": {
			old: store.FeedbackCounts{Sent: 1}, intact: store.FeedbackCounts{Sent: 1}, rebuilt: 2, earned: 1,
			want: Verdict{false, store.FeedbackNone},
		},
		"fewer than earned feedback": {
			old: store.FeedbackCounts{Sent: 1}, rebuilt: 3, earned: 2, want: Verdict{false, store.FeedbackOwed},
		},
		"others are missing in the log": {
			old: store.FeedbackCounts{Sent: 2}, rebuilt: 2, earned: 1, holes: true, want: Verdict{false, store.FeedbackSent},
		},
		"the batch's row is lost": {
			rebuilt: 2, earned: 1, lost: true, want: Verdict{false, store.FeedbackOwed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Rebuild{
				Batch: &store.Batch{Feedback: c.old}, Lost: c.lost, Holes: c.holes, Policy: store.Policy{On: c.on},
				intact: c.intact, rebuilt: c.rebuilt, earned: c.earned,
			}
			require.Equal(t, c.want, r.Decide())
		})
	}
}

// Recipients whose reports are lost from the log stay counted, so that nothing counts them again. The full report is
// fetched to name them.
func TestRecipientsMissingInTheLog(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.foldLogged(arrives(0, says(alice, dlr.Delivered, 0, at(0))), arrives(1, says(bob, dlr.Delivered, 0, at(1))))
	delete(l.recipients, bob)
	l.rebuild(&Rebuild{Batch: cloneBatch(l.batch), Holes: true}, nil)
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, l.batch.States)
	require.Equal(t, []store.Reported{{Status: dlr.Delivered, Named: 1, Claimed: 2}}, l.batch.Reported)
	require.Equal(t, store.FeedbackCounts{Owed: 1}, l.batch.Feedback)
	require.True(t, l.batch.NeedsFullReport)
	require.NotNil(t, l.batch.Task)

	rows := &Rows{Batch: l.batch, Recipients: map[string]*Row{}}
	c := Fold(rows, []store.Arrival{arrives(2, says(bob, dlr.Delivered, 0, at(1)))}, l.policy)
	require.Zero(t, c.Applied[0].Messages, "the message was counted before")
	require.Equal(t, 1, c.Earned)
	require.False(t, l.batch.NeedsFullReport, "all recipients are named again")
}

func TestPartlyFoldedReportIsRebuiltPartly(t *testing.T) {
	a := arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol)))
	for _, lost := range []bool{false, true} {
		l := newLedger(t, store.Policy{})
		first, rest := Part(&a, 0, 2), Part(&a, 2, 3)
		rows := &Rows{Batch: l.batch, Recipients: map[string]*Row{}, Chunk: 1}
		Fold(rows, []store.Arrival{first}, l.policy)
		r := &Rebuild{Batch: cloneBatch(l.batch)}
		if lost {
			r = &Rebuild{Lost: true, Batch: &store.Batch{Plan: "plan", ID: "batch", FirstAt: at(0)}, Partial: rest, Done: 2}
		}
		l.rebuild(r, []logged{{a, store.Ref{Chunk: 1}}})
		require.Len(t, l.recipients, 2)
		require.Equal(t, 2, l.batch.Reports[0].Folded)
		require.Equal(t, []store.Reported{{Status: dlr.Delivered, Named: 2}}, l.batch.Reported)

		rows = &Rows{Batch: l.batch, Recipients: map[string]*Row{}, Chunk: 2}
		c := Fold(rows, []store.Arrival{rest}, l.policy)
		require.Len(t, c.Applied, 1)
		require.Equal(t, 1, c.Applied[0].Messages)
		require.Empty(t, rows.Log, "the report is logged already")
		require.Equal(t, []store.Reported{{Status: dlr.Delivered, Named: 3, Claimed: 3}}, l.batch.Reported)
		require.Zero(t, l.batch.Reports[0].Folded)
	}
}
