package fold

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestNumbersOfABatchBecomeRecipients(t *testing.T) {
	named := sends(3)
	named.Groups, named.Numbers = 1, []string{"+" + alice, bob}
	l := newLedger(t, store.Policy{})
	c := l.fold(arrives(0, named))
	require.Equal(t, 2, c.NewRecipients)
	require.Zero(t, c.Earned)
	require.Empty(t, c.Applied)
	require.Empty(t, l.log)
	require.Empty(t, l.batch.States, "no report named the recipients")
	require.Equal(t, "+"+alice, l.recipient(alice).Number)
	require.Equal(t, store.FeedbackNone, l.recipient(alice).Feedback)
	require.Nil(t, l.batch.Task)

	want := named
	want.Numbers = nil
	require.Equal(t, &want, l.batch.Info)
	require.Equal(t, []string{"+" + alice, bob}, named.Numbers, "the caller's slice is unchanged")

	again := named
	again.Numbers = []string{alice, "00" + bob, "+" + carol}
	require.Equal(t, 1, l.fold(arrives(1, again)).NewRecipients)
	require.Equal(t, "+"+alice, l.recipient(alice).Number, "a number is kept as first received")

	c = l.fold(arrives(2, says(alice, dlr.Delivered, 0, at(2))))
	require.Zero(t, c.NewRecipients, "the report applies to the existing row")
	require.Equal(t, 1, c.Earned)
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, l.batch.States)
	require.Equal(t, 3, l.stats.Recipients)
}

func TestNumbersOfOlderBatchInfoAreNotAdded(t *testing.T) {
	newer, older := sends(1), sends(2)
	newer.ModifiedAt, newer.Numbers = at(20), []string{alice}
	older.ModifiedAt, older.Numbers = at(10), []string{alice, bob}
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, newer))
	c := l.fold(arrives(1, older), arrives(2, store.BatchInfo{BatchID: "batch", Unknown: true, Numbers: []string{carol}}))
	require.Zero(t, c.NewRecipients, "older batch info does not add removed recipients")
	require.Len(t, l.recipients, 1)
}

func TestRecipientsRemovedFromABatchKeepTheirRows(t *testing.T) {
	first, second := sends(2), sends(1)
	first.Numbers = []string{alice, bob}
	second.ModifiedAt, second.Numbers = at(5), []string{bob}
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, first), arrives(6, second))
	require.Len(t, l.recipients, 2)
	require.Equal(t, 1, l.batch.Missing(), "Missing follows the latest batch info")
}

func TestFetchNowIsNotStored(t *testing.T) {
	f := sends(2)
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, store.FetchNow{BatchInfo: f}))
	require.Equal(t, &f, l.batch.Info)
}

func TestModifiedAtTooFarAheadDoesNotBlockLaterBatchInfo(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, store.BatchInfo{BatchID: "batch", ModifiedAt: at(6 * 3600), Recipients: 1}))
	l.fold(arrives(10, store.BatchInfo{BatchID: "batch", ModifiedAt: at(9), Recipients: 2, FeedbackEnabled: true}))
	require.Equal(t, 2, l.batch.Info.Recipients)
	require.Equal(t, store.FlagWanted, l.batch.Flag)
	l.fold(arrives(20, store.BatchInfo{BatchID: "batch", ModifiedAt: at(8), Recipients: 3}))
	require.Equal(t, 2, l.batch.Info.Recipients, "older batch info changes nothing")
}
