package erase_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/erase"
)

const alice, bob = "447700900001", "447700900002"

var key = store.BatchKey{Plan: "plan", BatchID: "1"}

func newNumber(t *testing.T) *erase.Number {
	t.Helper()
	n, err := erase.New("+44 7700 900001")
	require.NoError(t, err)
	return n
}

func TestOnlyAPhoneNumberIsErased(t *testing.T) {
	for _, number := range []string{"", "123456", "1234567890123456", "abc", "447700900001x", "********001", "group"} {
		_, err := erase.New(number)
		require.ErrorIs(t, err, store.ErrNumber, number)
	}
	for _, number := range []string{"1234567", "+1 (234) 567", "00447700900001", "123456789012345"} {
		_, err := erase.New(number)
		require.NoError(t, err, number)
	}
}

func TestNames(t *testing.T) {
	n := newNumber(t)
	name := n.Name(key)
	require.Regexp(t, `^erased-[a-z]{16}$`, name)
	require.Equal(t, name, dlr.Digits(name), "the name is not taken for a number")
	require.Equal(t, name, n.Name(key))
	require.NotEqual(t, name, n.Name(store.BatchKey{Plan: "plan", BatchID: "2"}))
	require.NotEqual(t, name, newNumber(t).Name(key))
}

func TestTexts(t *testing.T) {
	n := newNumber(t)
	for text, want := range map[string]string{
		"":                                "",
		alice:                             "~",
		"+" + alice:                       "~",
		"0000" + alice:                    "~",
		"(44) 7700-900.001":               "(~",
		"+44\u00a07700\u2011900\u200b001": "~",
		"order-" + alice + "/7":           "order-~/7",
		alice + "," + bob + "," + alice:   "~," + bob + ",~",
		"1" + alice:                       "1" + alice,
		alice + "1":                       alice + "1",
		"x" + alice:                       "x" + alice,
		alice + "x " + alice:              alice + "x ~",
		bob:                               bob,
	} {
		require.Equal(t, strings.ReplaceAll(want, "~", n.Name(key)), n.Text(key, text), text)
	}
}

// TestNumbersThatBeginAnew looks for numbers that have their first digits several times, behind digits that resemble
// them.
func TestNumbersThatBeginAnew(t *testing.T) {
	for number, texts := range map[string][]string{
		"1212123": {"12 1212123", "1212 1212123", "12121 1212123"},
		"1111112": {"11 1111112", "1 1 1 1111112"},
		"4447744": {"44 4447744", "4447 4447744", "44477 4447744"},
		"1231234": {"123 1231234", "123123 1231234"},
	} {
		n, err := erase.New(number)
		require.NoError(t, err)
		for _, text := range texts {
			before := text[:len(text)-len(number)]
			require.Equal(t, before+n.Name(key), n.Text(key, text))
			require.Equal(t, text+"0", n.Text(key, text+"0"))
		}
	}
}

func TestBodies(t *testing.T) {
	n := newNumber(t)
	for body, want := range map[string]string{
		`{ "recipient" : "+447700900001", "code":0 }`:         `{ "recipient" : "~", "code":0 }`,
		`{"recipient":447700900001,"x":4477009000010}`:        `{"recipient":"~","x":4477009000010}`,
		`{"recipient":"\u0034\u00347700900001"}`:              `{"recipient":"~"}`,
		`{"447700900001":["447700900002", "447700900001" ]}`:  `{"~":["447700900002", "~" ]}`,
		`{"text":"call \"447700900001\" or <447700900002>"}`:  `{"text":"call \"~\" or \u003c447700900002\u003e"}`,
		`not JSON: 447700900001, "447700900001`:               `not JSON: ~, "~`,
		`[44,7700900001,{"at":"2026-01-01T00:00:00.000Z"}]  `: `[44,7700900001,{"at":"2026-01-01T00:00:00.000Z"}]  `,
	} {
		want = strings.ReplaceAll(want, "~", n.Name(key))
		require.Equal(t, want, string(n.Body(key, []byte(body))), body)
		require.Equal(t, json.Valid([]byte(body)), json.Valid([]byte(want)))
	}
	same := []byte(`{"recipient":"447700900002","text":"\n"}`)
	require.Same(t, &same[0], &n.Body(key, same)[0], "no copy of a body without the number")
}

func TestEvents(t *testing.T) {
	signed := &store.Signature{Value: "signature"}
	report := func(recipient string) []byte {
		return []byte(`{"type":"recipient_delivery_report_sms","batch_id":"1","status":"Delivered","code":0,` +
			`"recipient":"` + recipient + `","client_reference":"` + alice + `"}`)
	}
	message := func(from, to, text string) []byte {
		return []byte(`{"type":"mo_text","id":"m","from":"` + from + `","to":"` + to + `","body":"` + text + `"}`)
	}
	full := []byte(`{"type":"delivery_report_sms","batch_id":"1","total_message_count":2,"statuses":[{"code":0,` +
		`"status":"Delivered","count":2,"recipients":["` + alice + `","` + bob + `"]}]}`)
	n := newNumber(t)
	name := n.Name(key)
	named := func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(alice), []byte(name)) }
	for title, c := range map[string]struct {
		event, want store.Event
		erased      bool
	}{
		"a status": {
			store.Event{Type: store.RecipientStatus, Number: "+" + alice, ClientReference: "to " + alice},
			store.Event{Type: store.RecipientStatus, Number: name, ClientReference: "to " + name},
			false,
		},
		"feedback": {
			store.Event{Type: store.FeedbackGivenUp, Recipients: []string{bob, alice}, Detail: "no " + alice},
			store.Event{Type: store.FeedbackGivenUp, Recipients: []string{bob, name}, Detail: "no " + name},
			false,
		},
		"a message from the number": {
			store.Event{Type: store.InboundReceived, Key: "m", Raw: message(alice, bob, "secret"), Signature: signed},
			store.Event{Type: store.InboundReceived, Key: "m"},
			true,
		},
		"a message to the number": {
			store.Event{Type: store.InboundReceived, Key: "m", Raw: message(bob, alice, "secret"), Signature: signed},
			store.Event{Type: store.InboundReceived, Key: "m"},
			true,
		},
		"a message about the number": {
			store.Event{Type: store.InboundReceived, Key: "m", Raw: message(bob, bob, alice), Signature: signed},
			store.Event{Type: store.InboundReceived, Key: "m", Raw: named(message(bob, bob, alice))},
			false,
		},
		"a report about the number": {
			store.Event{Type: store.ReportReceived, Raw: report(alice), Signature: signed},
			store.Event{Type: store.ReportReceived},
			true,
		},
		"a report about another number": {
			store.Event{Type: store.ReportReceived, Raw: report(bob), Signature: signed},
			store.Event{Type: store.ReportReceived, Raw: named(report(bob))},
			false,
		},
		"a full report": {
			store.Event{Type: store.ReportReceived, Raw: full, Signature: signed},
			store.Event{Type: store.ReportReceived, Raw: named(full)},
			false,
		},
		"a callback that cannot be parsed": {
			store.Event{Type: store.CallbackQuarantined, Raw: []byte("at " + alice), Signature: signed},
			store.Event{Type: store.CallbackQuarantined, Raw: []byte("at " + name)},
			false,
		},
	} {
		t.Run(title, func(t *testing.T) {
			for _, e := range []*store.Event{&c.event, &c.want} {
				e.Plan, e.BatchID = key.Plan, key.BatchID
			}
			recipients, raw := c.event.Recipients, bytes.Clone(c.event.Raw)
			before := c.event
			require.True(t, n.Event(&c.event))
			require.Equal(t, c.want, c.event)
			require.Equal(t, c.erased, c.event.Erased())
			require.Equal(t, before.ID(), c.event.ID())
			require.Equal(t, raw, bytes.Clone(before.Raw), "the memory of the body is not changed")
			require.Equal(t, recipients, before.Recipients)
			require.False(t, n.Event(&c.event), "nothing is left to erase")
		})
	}
	other := store.Event{Type: store.ReportReceived, Plan: "plan", BatchID: "1", Raw: []byte(bob), Signature: signed}
	require.False(t, n.Event(&other))
	require.Equal(t, signed, other.Signature)
}

func TestDeferredEvents(t *testing.T) {
	n := newNumber(t)
	d := store.DeferredEvent{Event: store.Event{Plan: "plan", BatchID: "1"}, Detail: "400: " + alice}
	require.True(t, n.Deferred(&d))
	require.Equal(t, "400: "+n.Name(key), d.Detail)
	require.False(t, n.Deferred(&d))
	d.Event.Number = alice
	require.True(t, n.Deferred(&d))
}

func TestBatches(t *testing.T) {
	n := newNumber(t)
	info := &store.BatchInfo{ClientReference: alice}
	b := &store.Batch{
		Plan: "plan", ID: "1", ClientReference: alice, Info: info,
		Task: &store.Task{Detail: alice}, Dead: &store.Dead{Detail: alice},
	}
	require.True(t, n.Batch(b))
	for _, text := range []string{b.ClientReference, b.Info.ClientReference, b.Task.Detail, b.Dead.Detail} {
		require.Equal(t, n.Name(key), text)
	}
	require.Equal(t, alice, info.ClientReference, "the batch info is copied")
	require.False(t, n.Batch(b))
	require.False(t, n.Batch(&store.Batch{Plan: "plan", ID: "1", ClientReference: bob}))
}
