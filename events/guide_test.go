package events_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/store"
)

const guide = "../docs/events.md"

// examples returns the events that docs/events.md shows, one of each type.
func examples() map[store.EventType]store.Event {
	begin := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	of := func(ms int, e store.Event) store.Event {
		e.At, e.Plan = begin.Add(time.Duration(ms)*time.Millisecond), "acme-eu"
		if e.Key == "" {
			e.BatchID, e.ClientReference = "01KJQ5Z3C0AAAA0000000000A1", "otp/8a02"
			e.Version += e.At.UnixMilli()
		}
		return e
	}
	mo := `{"type": "mo_text", "id": "01KJQ7Q1X0STOP0000000000E5", "from": "447700900133", "to": "54321",
		"body": "STOP", "received_at": "2026-03-02T10:30:00.662Z", "operator_id": "23415"}`
	return map[store.EventType]store.Event{
		store.RecipientStatus: of(9000, store.Event{
			Type: store.RecipientStatus, Number: "+447700900134",
			State: dlr.State{
				Status: dlr.Failed, Code: 153, At: begin.Add(8900 * time.Millisecond), OperatorAt: begin.Add(8 * time.Second),
			},
		}),
		store.BatchCompleted: of(9000, store.Event{Type: store.BatchCompleted, Version: 1, Counts: []store.StatusCount{
			{Status: dlr.Dispatched, Code: 401, Messages: 2},
			{Status: dlr.Delivered, Messages: 1},
			{Status: dlr.Failed, Code: 153, Messages: 1},
		}}),
		store.FeedbackAccepted: of(10_100, store.Event{Type: store.FeedbackAccepted, Recipients: []string{"447700900133"}}),
		store.FeedbackGivenUp: of(10_200, store.Event{
			Type: store.FeedbackGivenUp, Recipients: []string{"447700900133"}, Reason: store.ReasonRejected,
			Detail: "400 syntax_constraint_violation",
		}),
		store.InboundReceived: of(1_801_000, store.Event{
			Type: store.InboundReceived, Key: "01KJQ7Q1X0STOP0000000000E5", Raw: []byte(mo),
		}),
		store.CallbackQuarantined: of(1_900_000, store.Event{
			Type: store.CallbackQuarantined, Key: "42", Misread: dlr.UnknownType, CallbackType: "delivery_report_rcs",
		}),
	}
}

// TestTheGuideShowsEachType fails if an example in docs/events.md is not the JSON of the event. To update the page, run
// DLRLOOP_UPDATE=1 go test ./events.
func TestTheGuideShowsEachType(t *testing.T) {
	page, err := os.ReadFile(guide)
	require.NoError(t, err)
	shown, seen := regexp.MustCompile("(?s)(### `([a-z.]+)`\n.*?```json\n)(.*?)(```\n)"), map[store.EventType]bool{}
	want := shown.ReplaceAllFunc(page, func(section []byte) []byte {
		parts := shown.FindSubmatch(section)
		kind := store.EventType(parts[2])
		e, found := examples()[kind]
		require.True(t, found, kind)
		seen[kind] = true
		line, err := events.Marshal(&e)
		require.NoError(t, err)
		var example bytes.Buffer
		require.NoError(t, json.Indent(&example, line, "", "  "))
		return bytes.Join([][]byte{parts[1], example.Bytes(), []byte("\n"), parts[4]}, nil)
	})
	require.Len(t, seen, len(store.EventTypes()), "the page describes every type")
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		require.NoError(t, os.WriteFile(guide, want, 0o644))
		return
	}
	require.Equal(t, string(want), string(page))
}
