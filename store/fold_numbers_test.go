package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestNumbersOfABatchBecomeRecipients(t *testing.T) {
	named := sends(3)
	named.Groups, named.Numbers = 1, []string{"+" + alice, bob}
	l := newLedger(t, Policy{})
	c := l.fold(arrives(0, named))
	require.Equal(t, 2, c.NewRecipients)
	require.Zero(t, c.Earned)
	require.Empty(t, c.Taken)
	require.Empty(t, l.log)
	require.Empty(t, l.batch.States, "no report named the recipients")
	require.Equal(t, "+"+alice, l.recipient(alice).Number)
	require.Equal(t, FeedbackNone, l.recipient(alice).Feedback)
	require.Nil(t, l.batch.Task)

	want := named
	want.Numbers = nil
	require.Equal(t, &want, l.batch.Facts)
	require.Equal(t, []string{"+" + alice, bob}, named.Numbers, "the caller's slice is unchanged")

	again := named
	again.Numbers = []string{alice, "00" + bob, "+" + carol}
	require.Equal(t, 1, l.fold(arrives(1, again)).NewRecipients)
	require.Equal(t, "+"+alice, l.recipient(alice).Number, "a number is kept as first received")

	c = l.fold(arrives(2, says(alice, dlr.Delivered, 0, at(2))))
	require.Zero(t, c.NewRecipients, "the report applies to the existing row")
	require.Equal(t, 1, c.Earned)
	require.Equal(t, []string{alice}, l.in(FeedbackOwed))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, l.batch.States)
	require.Equal(t, 3, l.stats.Recipients)
}

func TestNumbersOfOlderFactsAreNotAdded(t *testing.T) {
	newer, older := sends(1), sends(2)
	newer.ModifiedAt, newer.Numbers = at(20), []string{alice}
	older.ModifiedAt, older.Numbers = at(10), []string{alice, bob}
	l := newLedger(t, Policy{})
	l.fold(arrives(0, newer))
	c := l.fold(arrives(1, older), arrives(2, Facts{BatchID: "batch", Missing: true, Numbers: []string{carol}}))
	require.Zero(t, c.NewRecipients, "older batch info does not add removed recipients")
	require.Len(t, l.recipients, 1)
}

func TestRecipientsRemovedFromABatchKeepTheirRows(t *testing.T) {
	first, second := sends(2), sends(1)
	first.Numbers = []string{alice, bob}
	second.ModifiedAt, second.Numbers = at(5), []string{bob}
	l := newLedger(t, Policy{})
	l.fold(arrives(0, first), arrives(6, second))
	require.Len(t, l.recipients, 2)
	require.Equal(t, 1, l.batch.Lacking(), "Lacking follows the latest batch info")
}

func TestCheckNowIsNotStored(t *testing.T) {
	f := sends(2)
	f.CheckNow = true
	l := newLedger(t, Policy{})
	l.fold(arrives(0, f))
	f.CheckNow = false
	require.Equal(t, &f, l.batch.Facts)
}
