package fold

import (
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Erase gives the recipient r of batch b a name in place of its phone number; see store.Store.Erase. If feedback is
// owed or dead for r, it becomes FeedbackNone, and b is updated: its counts, and its task if nothing else is owed. The
// changes contain only Plan, BatchID, Before and After.
func Erase(b *store.Batch, r *store.Recipient, name string) store.Changes {
	changes := store.Changes{Plan: b.Plan, BatchID: b.ID, Before: b.Tally()}
	f, row := folding{batch: b}, Row{Recipient: *r}
	row.Number = name
	if r.Feedback == store.FeedbackOwed || r.Feedback == store.FeedbackDead {
		f.move(&row, store.FeedbackNone, time.Time{})
		f.clearDead()
		if !owes(b) {
			b.Task = nil
		}
	}
	*r = row.Recipient
	changes.After = b.Tally()
	return changes
}
