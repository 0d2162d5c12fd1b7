package fold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var withEvents = store.Policy{Events: true}

// fresh returns the events that l has collected since the last call.
func (l *ledger) fresh() []store.Event {
	events := l.events[l.seen:]
	l.seen = len(l.events)
	return events
}

// types returns the types of the events that l has collected since the last call of fresh or types.
func (l *ledger) types() (types []store.EventType) {
	for _, e := range l.fresh() {
		types = append(types, e.Type)
	}
	return types
}

func TestEventsFollowTheWinningState(t *testing.T) {
	l := newLedger(t, withEvents)
	l.fold(
		arrives(1, says("+"+alice, dlr.Dispatched, 401, at(1))),
		arrives(2, says(alice, dlr.Delivered, 0, at(2))),
		arrives(3, says(alice, dlr.Dispatched, 401, at(1))), // a repeat
		arrives(4, says(alice, dlr.Queued, 400, at(3))),     // does not win
		arrives(5, says(alice, dlr.Delivered, 0, at(5))),    // wins with the same status and code
	)
	require.Len(t, l.events, 2)
	require.Equal(t, store.Event{
		Type: store.RecipientStatus, At: at(2), Plan: "plan", BatchID: "batch", Version: at(2).UnixMilli(),
		Number: "+" + alice, State: dlr.State{Status: dlr.Delivered, At: at(2)},
	}, l.events[1])
}

func TestVersionsRiseWithinAMillisecondAndAfterRetention(t *testing.T) {
	l := newLedger(t, withEvents)
	l.fold(arrives(1, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol))))
	require.Equal(t, []store.EventType{
		store.RecipientStatus, store.RecipientStatus, store.RecipientStatus, store.BatchCompleted,
	}, l.types())
	require.Equal(t, at(1).UnixMilli()+3, l.batch.Version)

	anew := newLedger(t, withEvents) // as after retention has deleted the batch
	anew.fold(arrives(2, says(alice, dlr.Delivered, 0, at(2))))
	require.Greater(t, anew.batch.Version, l.batch.Version)
}

func TestBatchCompletedOnce(t *testing.T) {
	l := newLedger(t, withEvents)
	info := batchInfo(true, at(0))
	info.Recipients = 2
	l.fold(arrives(0, info), arrives(1, says(alice, dlr.Delivered, 0, at(1))))
	require.Equal(t, []store.EventType{store.RecipientStatus}, l.types())
	l.fold(arrives(2, says(bob, dlr.Dispatched, 401, at(2))), arrives(3, says(bob, dlr.Expired, 406, at(3))))
	require.Equal(t, []store.StatusCount{
		{Status: dlr.Delivered, Messages: 1},
		{Status: dlr.Dispatched, Code: 401, Messages: 1},
		{Status: dlr.Expired, Code: 406, Messages: 1},
	}, l.events[len(l.events)-1].Counts)
	require.Equal(t, []store.EventType{store.RecipientStatus, store.RecipientStatus, store.BatchCompleted}, l.types())
	l.fold(arrives(4, says(bob, dlr.Expired, 406, at(4))))
	require.Empty(t, l.types())

	info.Recipients, info.ModifiedAt = 3, at(5)
	l.fold(arrives(5, info), arrives(6, says(carol, dlr.Failed, 402, at(6))))
	require.Equal(t, []store.EventType{store.RecipientStatus, store.BatchCompleted}, l.types(), "completed once more")
}

func TestBatchOfUnknownSizeIsNotCompleted(t *testing.T) {
	l := newLedger(t, withEvents)
	info := batchInfo(true, at(0))
	info.Recipients, info.Groups = 2, 1
	l.fold(arrives(0, info), arrives(1, says(alice, dlr.Delivered, 0, at(1))))
	require.Equal(t, []store.EventType{store.RecipientStatus}, l.types(), "one recipient is a group of unknown size")
}

func TestEventsOfFeedback(t *testing.T) {
	l := newLedger(t, withEvents)
	l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol))))
	l.types()
	dead := settles(store.OutcomeDead, alice, bob)
	dead.Reason, dead.Detail = store.ReasonRejected, "400"
	l.fold(arrives(1, dead), arrives(2, settles(store.OutcomeAccepted, bob, alice, bob)))
	require.Equal(t, []store.Event{
		{
			Type: store.FeedbackGivenUp, At: at(1), Plan: "plan", BatchID: "batch", Version: at(1).UnixMilli(),
			Recipients: []string{alice, bob}, Reason: store.ReasonRejected, Detail: "400",
		}, {
			Type: store.FeedbackAccepted, At: at(2), Plan: "plan", BatchID: "batch", Version: at(2).UnixMilli(),
			Recipients: []string{bob, alice},
		},
	}, l.fresh())
	l.fold(arrives(3, settles(store.OutcomeAccepted, alice)), arrives(4, settles(store.OutcomeRetry, carol)))
	require.Empty(t, l.types(), "nothing changed")
}

func TestCallbacksInEvents(t *testing.T) {
	l := newLedger(t, store.Policy{Events: true, KeepCallbacks: true})
	first, signature := says(alice, dlr.Delivered, 0, at(1)), &store.Signature{Algorithm: "HmacSHA256", Nonce: "1"}
	a := arrives(1, first)
	a.Signature = signature
	l.fold(a, a, arrives(2, polled(says(bob, dlr.Delivered, 0, at(2)))))
	require.Equal(t, store.ReportReceived, l.events[0].Type)
	require.Equal(t, first.Raw, l.events[0].Raw)
	require.Same(t, signature, l.events[0].Signature)
	require.Equal(t, []store.EventType{store.ReportReceived, store.RecipientStatus, store.RecipientStatus}, l.types(),
		"neither a repeat nor a polled report has an event with a callback")

	large := arrives(3, whole(2, entry(dlr.Delivered, 0, 2, alice, carol)))
	l.fold(Part(&large, 0, 1))
	l.fold(Part(&large, 1, 2))
	require.Equal(t, []store.EventType{store.ReportReceived, store.BatchCompleted, store.RecipientStatus}, l.types(),
		"a report that is folded in parts has one event")
}

func TestEventsOutsideBatches(t *testing.T) {
	message := store.Inbound{Inbound: &dlr.Inbound{ID: "mo", ClientReference: "order 7"}, Raw: []byte("{}")}
	a := arrives(1, message)
	a.Signature = &store.Signature{Nonce: "1"}
	e, ok := EventOf(a, "", withEvents)
	require.True(t, ok)
	require.Equal(t, store.Event{
		Type: store.InboundReceived, At: at(1), Plan: "plan", Key: "mo", Raw: []byte("{}"), ClientReference: "order 7",
	}, e)

	q := arrives(2, store.Quarantined{Reason: dlr.UnknownType, Type: "new", Raw: []byte("[]")})
	e, _ = EventOf(q, "17", withEvents)
	require.Equal(t, store.Event{
		Type: store.CallbackQuarantined, At: at(2), Plan: "plan", Key: "17", Misread: dlr.UnknownType, CallbackType: "new",
	}, e)
	e, _ = EventOf(q, "17", store.Policy{Events: true, KeepCallbacks: true})
	require.Equal(t, []byte("[]"), e.Raw)

	_, ok = EventOf(q, "17", store.Policy{KeepCallbacks: true})
	require.False(t, ok, "events are disabled")
	_, ok = EventOf(arrives(3, says(alice, dlr.Delivered, 0, at(3))), "", withEvents)
	require.False(t, ok)
}

func TestEventIDs(t *testing.T) {
	e := store.Event{Type: store.RecipientStatus, Plan: "p", BatchID: "b", Version: 7}
	id := e.ID()
	require.Regexp(t, `^evt_[A-Z2-7]{26}$`, id)
	e.At, e.Number = at(1).Add(time.Hour), alice
	require.Equal(t, id, e.ID(), "the id depends on the place of the change only")
	for _, other := range []store.Event{
		{Type: store.BatchCompleted, Plan: "p", BatchID: "b", Version: 7},
		{Type: e.Type, Plan: "pb", Version: 7},
		{Type: e.Type, Plan: "p", BatchID: "b", Version: 8},
		{Type: e.Type, Plan: "p", Key: "b", Version: 7},
	} {
		require.NotEqual(t, id, other.ID())
	}
}
