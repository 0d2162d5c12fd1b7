package packed

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// anyEvent draws an event with all fields that its type uses.
func anyEvent() *rapid.Generator[store.Event] {
	return rapid.Custom(func(t *rapid.T) store.Event {
		text := func(label string) string { return storetest.AnyText().Draw(t, label) }
		e := store.Event{
			Type: store.EventType(rapid.SampledFrom(eventTypes[1:]).Draw(t, "type")), At: storetest.AnyTime().Draw(t, "at"),
			Plan: text("plan"), ClientReference: text("reference"),
		}
		switch e.Type {
		case store.InboundReceived, store.CallbackQuarantined:
			e.Key = text("key")
		default:
			e.BatchID, e.Version = text("batch"), rapid.Int64Range(1, 1<<53).Draw(t, "version")
		}
		switch e.Type {
		case store.RecipientStatus:
			e.Number, e.State = anyNumber().Draw(t, "number"), anyState().Draw(t, "state")
		case store.BatchCompleted:
			e.Counts = []store.StatusCount{
				{Status: storetest.AnyStatus().Draw(t, "status"), Code: dlr.NoCode, Messages: storetest.AnyCount().Draw(t, "n")},
			}
		case store.FeedbackAccepted, store.FeedbackGivenUp:
			e.Recipients, e.WholeBatch = []string{text("number")}, rapid.Bool().Draw(t, "whole")
			e.Reason, e.Detail = store.Reason(text("reason")), text("detail")
		case store.CallbackQuarantined:
			e.Misread, e.CallbackType = dlr.Reason(text("misread")), dlr.Type(text("callback type"))
		}
		switch e.Type {
		case store.InboundReceived, store.ReportReceived, store.CallbackQuarantined:
			e.Raw = []byte("{" + text("raw"))
			if rapid.Bool().Draw(t, "signed") {
				e.Signature = &store.Signature{
					Algorithm: text("algorithm"), Nonce: text("nonce"), Timestamp: text("timestamp"), Value: text("signature"),
				}
			}
		}
		return e
	})
}

func TestEventsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(anyEvent(), 1, 5).Draw(t, "events")
		row := AppendEvents(nil, events)
		read, err := DecodeEvents(row)
		require.NoError(t, err)
		require.Equal(t, events, read)
		storetest.Cuts(t, row, func(row []byte) error { _, err := DecodeEvents(row); return err })
	})
}

func TestDeferredEventRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := store.DeferredEvent{
			ID: 7, Event: anyEvent().Draw(t, "event"), Since: storetest.AnyTime().Draw(t, "since"),
			Dead: rapid.Bool().Draw(t, "dead"), Due: storetest.AnyTime().Draw(t, "due"),
			Attempts: storetest.AnyCount().Draw(t, "attempts"),
			Reason:   store.DeliveryServer, Detail: storetest.AnyText().Draw(t, "detail"),
		}
		row := AppendDeferred(nil, &d)
		read, err := DecodeDeferred(row, 7)
		require.NoError(t, err)
		require.Equal(t, d, read)
		storetest.Cuts(t, row, func(row []byte) error { _, err := DecodeDeferred(row, 7); return err })
	})
}

func TestEventsOfANewerFormat(t *testing.T) {
	row := AppendEvents(nil, nil)
	row[0]++
	_, err := DecodeEvents(row)
	require.EqualError(t, err, "events: row has format 2, this version reads 1")
}
