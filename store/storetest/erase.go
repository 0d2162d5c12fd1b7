package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var erasing = []behavior{
	{"an erased number is found nowhere", eraseEverywhere},
	{"the counts stay after a number is erased", eraseKeepsCounts},
	{"feedback of an erased number is not sent", eraseFeedback},
	{"dead feedback of an erased number cannot be requeued", eraseDeadFeedback},
	{"an erased number can come back", eraseAndReturn},
	{"only a phone number can be erased", eraseNoNumber},
	{"erasing loses nothing that is recorded meanwhile", eraseConcurrently},
	{"a destination notices that its events were erased", eraseForDestinations},
	{"a number is erased from many batches and events", eraseMany},
}

// erase calls Store.Erase.
func (o *opened) erase(number string) store.Erased {
	o.t.Helper()
	erased, err := o.Erase(context.Background(), number)
	require.NoError(o.t, err)
	return erased
}

func eraseEverywhere(t *testing.T, place Place) {
	o := openCallbacks(t, place)
	want := fill(o)
	require.Contains(t, o.everything(), alice)
	require.Equal(t, want, o.erase("+44 (7700) 900001"))
	for range 2 {
		all := o.everything()
		require.NotContains(t, all, alice)
		require.NotContains(t, all, alice[2:], "also in another spelling")
		require.Contains(t, all, bob)
		page, err := o.RecipientBatches(t.Context(), alice, store.Paging{})
		require.NoError(t, err)
		require.Empty(t, page.Items)
		require.Empty(t, o.inbound(store.InboundQuery{Number: alice}))
		for _, id := range []string{"from0", "to0"} {
			_, err = o.InboundMessage(t.Context(), plan, id)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		_, err = o.Recipient(t.Context(), key("1"), alice)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Len(t, o.inbound(store.InboundQuery{Number: bob}), 2)
		o.reopen()
	}
	require.Zero(t, o.erase(alice), "nothing is left")
	for _, e := range o.deferred("app", false) {
		require.False(t, e.Event.Erased(), "a deferred event without its callback is deleted")
	}
	app := o.destination("app")
	require.Equal(t, [2]int{2, 1}, [2]int{app.Deferred, app.Dead})
}

func eraseKeepsCounts(t *testing.T, place Place) {
	o := openCallbacks(t, place)
	fill(o)
	minutes := func() []store.MinuteCount {
		all, err := o.Timeseries(t.Context(), "", sec(-60), sec(3600))
		require.NoError(t, err)
		return all
	}
	before, series, stats := o.batch(key("full")), minutes(), o.stats(plan)
	events, _ := o.events("", 100)
	o.erase(alice)
	after := o.batch(key("full"))
	require.Equal(t, before.States, after.States)
	require.Equal(t, before.Reported, after.Reported)
	require.Equal(t, before.Total, after.Total)
	require.Equal(t, series, minutes())
	left := o.stats(plan)
	require.Equal(t, stats.Feedback.Owed-4, left.Feedback.Owed, "alice's feedback in four batches is not owed any more")
	stats.Feedback, left.Feedback = store.Tally{}, store.Tally{}
	require.Equal(t, stats, left)

	recipients := every(t, 2, func(p store.Paging) (store.Page[*store.Recipient], error) {
		return o.Recipients(t.Context(), key("full"), store.RecipientQuery{Status: dlr.Delivered, Paging: p})
	})
	require.Len(t, recipients, 3)
	at := slices.IndexFunc(recipients, func(r *store.Recipient) bool {
		return strings.HasPrefix(r.Number, store.ErasedPrefix)
	})
	require.NotEqual(t, -1, at)
	name := recipients[at].Number
	full := o.withBodies(key("full"), name)
	require.Len(t, full.Reports, 1)
	require.Contains(t, string(full.Bodies[0]), `"`+name+`"`)
	state, known := full.State()
	require.True(t, known)
	require.Equal(t, dlr.Delivered, state.Status)
	page, err := o.RecipientBatches(t.Context(), name, store.Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1, "each batch has a name of its own")

	kept, _ := o.events("", 100)
	require.Len(t, kept, len(events), "each event keeps its place")
	erased := 0
	for i := range kept {
		require.Equal(t, events[i].ID(), kept[i].ID())
		if kept[i].Erased() {
			erased++
		}
	}
	require.Equal(t, 4+2, erased, "the recipient reports and the inbound messages")
}

func eraseFeedback(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(1, batchInfo("two", true, sec(1))), arrives(2, delivered("two", alice)), arrives(3, delivered("two", bob)),
		arrives(1, batchInfo("one", true, sec(1))), arrives(2, delivered("one", alice)),
		arrives(1, batchInfo("sent", true, sec(1))), arrives(2, delivered("sent", alice)),
	)
	claims := o.claim(plan, sec(600), 10)
	require.Len(t, claims, 3)
	at := slices.IndexFunc(claims, func(c store.Claim) bool { return c.Key == key("sent") })
	o.settle(claims[at], sec(601), store.OutcomeAccepted)
	o.erase(alice)
	for range 2 {
		require.Nil(t, o.batch(key("one")).Task)
		require.Equal(t, store.FeedbackCounts{}, o.batch(key("one")).Feedback)
		require.Equal(t, store.FeedbackCounts{Owed: 1}, o.batch(key("two")).Feedback)
		require.Equal(t, store.FeedbackCounts{Sent: 1}, o.batch(key("sent")).Feedback)
		require.Equal(t, 1, o.stats(plan).Feedback.PendingTasks)
		o.reopen()
	}
	// The calls that were in progress end now.
	for _, c := range slices.Delete(claims, at, at+1) {
		o.settle(c, sec(602), store.OutcomeRetry)
	}
	require.Nil(t, o.batch(key("one")).Task)
	require.Equal(t, []string{bob}, o.claimOne(plan, sec(6000)).Recipients)
}

func eraseDeadFeedback(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(1, batchInfo("1", true, sec(1))), arrives(2, delivered("1", alice)))
	o.settle(o.claimOne(plan, sec(600)), sec(601), store.OutcomeDead)
	require.Len(t, o.tasks(store.TaskQuery{Dead: true}), 1)
	o.erase(alice)
	require.Empty(t, o.tasks(store.TaskQuery{Dead: true}))
	require.Nil(t, o.batch(key("1")).Dead)
	n, err := o.Requeue(t.Context(), key("1"), sec(700))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, o.claim(plan, sec(7000), 10))
}

func eraseAndReturn(t *testing.T, place Place) {
	o := openEvents(t, place)
	o.record(arrives(1, delivered("1", alice)))
	o.erase(alice)
	o.record(arrives(2, says("1", alice, dlr.Failed, 60, sec(2))))
	for range 2 {
		require.Len(t, o.recipient(key("1"), alice).Reports, 1)
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1, dlr.Failed: 1}, o.batch(key("1")).States)
		require.Equal(t, 2, o.stats(plan).Recipients)
		o.reopen()
	}
	require.Equal(t, store.Erased{Recipients: 1, Reports: 1, Events: 1}, o.erase(alice))
	require.NotContains(t, o.everything(), alice)
}

func eraseNoNumber(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(1, delivered("1", "123456")), arrives(1, delivered("1", "group")))
	for _, number := range []string{"", "123456", "group", "+", "1234567890123456"} {
		_, err := o.Erase(t.Context(), number)
		require.ErrorIs(t, err, store.ErrNumber)
	}
	require.Zero(t, o.erase(alice), "nothing is known of this number")
	require.Equal(t, "123456", o.recipient(key("1"), "123456").Number)
}

func eraseConcurrently(t *testing.T, place Place) {
	o := openEvents(t, place)
	const n = 100
	o.record(arrives(0, allDelivered("1", append(numbers(n), alice)...)))
	var g errgroup.Group
	g.SetLimit(32)
	for i := range n {
		g.Go(func() error { return o.persist(arrives(1, says("1", number(i), dlr.Failed, 60, sec(1)))) })
		g.Go(func() error { return o.persist(arrives(1, delivered(fmt.Sprint("new", i), number(i)))) })
		if i%50 == 0 {
			g.Go(func() error {
				_, err := o.Erase(context.Background(), alice)
				if errors.Is(err, store.ErrBusy) {
					return nil
				}
				return err
			})
		}
	}
	require.NoError(t, g.Wait())
	o.erase(alice)
	for range 2 {
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1, dlr.Failed: n}, o.batch(key("1")).States)
		for i := range n {
			require.Len(t, o.recipient(key("1"), number(i)).Reports, 2)
			require.Len(t, o.recipient(key(fmt.Sprint("new", i)), number(i)).Reports, 1)
		}
		_, err := o.Recipient(t.Context(), key("1"), alice)
		require.ErrorIs(t, err, store.ErrNotFound)
		o.reopen()
	}
}

func eraseForDestinations(t *testing.T, place Place) {
	o := openEvents(t, place)
	begin := o.end()
	o.record(arrives(1, delivered("1", alice)), arrives(2, delivered("2", bob)))
	o.saveDestination("behind", store.DestinationChange{Cursor: begin})
	o.saveDestination("ahead", store.DestinationChange{Cursor: o.end(), Put: []store.DeferredEvent{deferredEvent(3)}})
	behind, ahead := o.destination("behind"), o.destination("ahead")
	o.erase(alice)
	for name, before := range map[string]store.Destination{"behind": behind, "ahead": ahead} {
		after := o.destination(name)
		require.Greater(t, after.Epoch, before.Epoch, name)
		require.Greater(t, after.LastID, before.LastID, name)
		_, err := o.log().SaveDestination(t.Context(), name, store.DestinationChange{
			Epoch: before.Epoch, Cursor: before.Cursor, Put: []store.DeferredEvent{deferredEvent(9)},
		})
		require.ErrorIs(t, err, store.ErrConflict, "what a destination still has in memory is not stored again")
		before.Epoch, before.LastID = after.Epoch, after.LastID
		require.Equal(t, before, after)
	}
}

func eraseMany(t *testing.T, place Place) {
	o := openCallbacks(t, place)
	const batches = 100
	var arrivals []store.Arrival
	for i := range batches {
		day := sec(i * 7 * 3600)
		for _, number := range []string{alice, bob} {
			arrivals = append(arrivals, at(day, plan, delivered(fmt.Sprint(i), number)))
		}
	}
	all := append(numbers(3000), alice)
	arrivals = append(arrivals, arrives(1, allDelivered("full", all...)))
	o.recordAll(arrivals)
	want := store.Erased{Recipients: batches + 1, Reports: batches + 1, Events: 2 * (batches + 1)}
	require.Equal(t, want, o.erase(alice))
	for range 2 {
		events, _ := o.events("", 1000)
		require.NotContains(t, fmt.Sprint(events), alice)
		page, err := o.RecipientBatches(t.Context(), alice, store.Paging{})
		require.NoError(t, err)
		require.Empty(t, page.Items)
		page, err = o.RecipientBatches(t.Context(), bob, store.Paging{Limit: store.MaxLimit})
		require.NoError(t, err)
		require.Len(t, page.Items, batches)
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: len(all)}, o.batch(key("full")).States)
		o.reopen()
	}
}
