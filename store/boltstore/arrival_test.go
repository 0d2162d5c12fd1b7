package boltstore

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/journal"
	"github.com/dlrloop/dlrloop/store/packed"
	"github.com/dlrloop/dlrloop/store/storetest"
)

var noon = time.Date(2026, 8, 30, 12, 0, 0, 0, time.UTC)

// parsed returns the report in raw as the webhook records it.
func parsed(t require.TestingT, raw []byte) store.Report {
	c, err := dlr.Parse(raw)
	require.NoError(t, err)
	require.NotNil(t, c.Report)
	return store.Report{Report: c.Report, Raw: raw}
}

// asRecorded encodes an arrival as Record does.
func asRecorded(t require.TestingT, a store.Arrival) recorded {
	encoded, err := encodeArrival(a)
	require.NoError(t, err)
	return recorded{arrival: own(a, encoded), encoded: encoded}
}

func anyJSONText() *rapid.Generator[string] { return rapid.StringN(0, 20, -1) }

func anyArrival() *rapid.Generator[store.Arrival] {
	text := anyJSONText()
	recipients := rapid.SliceOfN(text, 1, 5)
	return rapid.Custom(func(t *rapid.T) store.Arrival {
		a := store.Arrival{Plan: storetest.AnyText().Draw(t, "plan"), At: storetest.AnyTime().Draw(t, "at")}
		switch id := text.Draw(t, "id"); rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			a.Entry = store.Quarantined{
				Reason: rapid.SampledFrom(dlr.Reasons()).Draw(t, "reason"),
				Type:   dlr.Type(storetest.AnyText().Draw(t, "type")),
				Raw:    rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "raw"),
			}
		case 1:
			f := storetest.AnyFacts(id).Draw(t, "info")
			f.ReportKind, f.ClientReference = text.Draw(t, "kind"), text.Draw(t, "reference")
			f.Numbers = recipients.Draw(t, "numbers")
			if a.Entry = *f; rapid.Bool().Draw(t, "fetch now") {
				a.Entry = store.FetchNow{BatchInfo: *f}
			}
		case 2:
			a.Entry = store.Confirmation{
				BatchID: id, Recipients: recipients.Draw(t, "recipients"), WholeBatch: rapid.Bool().Draw(t, "whole batch"),
			}
		case 3:
			a.Entry = store.Settlement{
				BatchID: id, Lease: text.Draw(t, "lease"),
				Recipients: recipients.Draw(t, "recipients"), WholeBatch: rapid.Bool().Draw(t, "whole batch"),
				Outcome: storetest.AnyOutcome().Draw(t, "outcome"),
				Reason:  rapid.SampledFrom(store.FeedbackReasons()).Draw(t, "reason"), Detail: text.Draw(t, "detail"),
				Due: storetest.AnyTime().Draw(t, "due"), FullReportFetched: rapid.Bool().Draw(t, "full"),
			}
		case 4:
			a.Entry = store.Requeue{
				BatchID: id, Recipients: recipients.Draw(t, "recipients"), WholeBatch: rapid.Bool().Draw(t, "whole batch"),
			}
		case 5:
			a.Entry = store.ReportFetched{BatchID: id, Refused: text.Draw(t, "refused")}
		}
		if rapid.Bool().Draw(t, "signed") {
			part := storetest.AnyText()
			a.Signature = &store.Signature{
				Algorithm: part.Draw(t, "algorithm"), Nonce: part.Draw(t, "nonce"),
				Timestamp: part.Draw(t, "timestamp"), Value: part.Draw(t, "value"),
			}
		}
		return a
	})
}

func TestArrivalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyArrival().Draw(t, "arrival")
		encoded, err := encodeArrival(a)
		require.NoError(t, err)
		read, err := decodeArrival(encoded)
		require.NoError(t, err)
		require.Equal(t, a, read)
		require.Equal(t, a, own(a, encoded))
		place := rapid.IntRange(0, len(encoded)-1).Draw(t, "place")
		require.NotPanics(t, func() { _, _ = decodeArrival(encoded[:place]) })
		encoded[place] ^= rapid.ByteRange(1, 255).Draw(t, "flipped")
		require.NotPanics(t, func() { _, _ = decodeArrival(encoded) })
	})
}

func TestInboundRoundTrip(t *testing.T) {
	for _, name := range fixtures.Names(t, "cb-mo-*.json") {
		raw := fixtures.Read(t, name)
		c, err := dlr.Parse(raw)
		require.NoError(t, err)
		a := store.Arrival{Plan: "plan", At: noon, Entry: store.Inbound{Inbound: c.Inbound, Raw: raw}}
		read, err := decodeArrival(asRecorded(t, a).encoded)
		require.NoError(t, err)
		require.Equal(t, a, read, name)
	}
}

func TestReportRoundTrip(t *testing.T) {
	names := fixtures.Names(t, "cb-*dr-*.json")
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			raw := fixtures.Read(t, name)
			for _, source := range []store.Source{store.FromCallback, store.FromPoll} {
				report := parsed(t, raw)
				report.Source = source
				a := store.Arrival{Plan: "plan", At: noon, Entry: report}
				read, err := decodeArrival(asRecorded(t, a).encoded)
				require.NoError(t, err)
				require.Equal(t, a, read)
			}
		})
	}
}

// Sinch reads an empty list of recipients as every recipient. So WholeBatch must survive the journal, and arrivals
// without it must not get it.
func TestWholeBatchRoundTrip(t *testing.T) {
	for _, entry := range []store.Entry{
		store.Confirmation{BatchID: "1", WholeBatch: true},
		store.Confirmation{BatchID: "1", Recipients: []string{"447700900001"}},
		store.Settlement{BatchID: "1", WholeBatch: true},
		store.Settlement{BatchID: "1"},
		store.Requeue{BatchID: "1", WholeBatch: true},
		store.Requeue{BatchID: "1"},
	} {
		a := store.Arrival{Plan: "plan", At: noon, Entry: entry}
		read, err := decodeArrival(asRecorded(t, a).encoded)
		require.NoError(t, err)
		require.Equal(t, a, read)
	}
}

// Arrivals in a journal of the previous version have no WholeBatch member.
func TestArrivalOfOlderVersionIsNotForTheWholeBatch(t *testing.T) {
	for kind, entry := range map[byte]store.Entry{
		kindConfirmation: store.Confirmation{BatchID: "1", Recipients: []string{"447700900001"}},
		kindSettlement:   store.Settlement{BatchID: "1", Recipients: []string{"447700900001"}},
		kindRequeue:      store.Requeue{BatchID: "1", Recipients: []string{"447700900001"}},
	} {
		p := packed.Writer{kind}
		p.Text("plan")
		p.Time(noon)
		read, err := decodeArrival(append(p, `{"BatchID":"1","Recipients":["447700900001"]}`...))
		require.NoError(t, err)
		require.Equal(t, entry, read.Entry)
	}
}

// An arrival without a signature is encoded as before there were signatures, so that journals of both versions agree.
func TestArrivalWithoutASignatureIsEncodedAsBefore(t *testing.T) {
	raw := `{"type":"recipient_delivery_report_sms","batch_id":"1","recipient":"447700900001","status":"Delivered"}`
	a := store.Arrival{Plan: "plan", At: noon, Entry: parsed(t, []byte(raw))}
	before := append([]byte("\x01\x04plan\x80\xc8\xd3\xa8\x8a\x68\x00"), raw...)
	require.Equal(t, string(before), string(asRecorded(t, a).encoded))
	read, err := decodeArrival(before)
	require.NoError(t, err)
	require.Equal(t, a, read)

	a.Signature = &store.Signature{Algorithm: "HmacSHA256", Nonce: "n", Timestamp: "1", Value: "c2ln"}
	signed := asRecorded(t, a).encoded
	require.Equal(t, kindSigned, signed[0])
	require.True(t, bytes.HasSuffix(signed, before))
	read, err = decodeArrival(signed)
	require.NoError(t, err)
	require.Equal(t, a, read)
}

// In the journal, batch info has always had a member FetchNow, set if missing reports must be fetched at once.
func TestCheckNowIsAMemberOfBatchInfo(t *testing.T) {
	for text, entry := range map[string]store.Entry{
		`{"BatchID":"1","Source":3,"CheckNow":false}`: store.BatchInfo{BatchID: "1", Source: store.FromRegistration},
		`{"BatchID":"1","Source":3,"CheckNow":true}`: store.FetchNow{
			BatchInfo: store.BatchInfo{BatchID: "1", Source: store.FromRegistration},
		},
	} {
		p := packed.Writer{kindBatchInfo}
		p.Text("plan")
		p.Time(noon)
		read, err := decodeArrival(append(p, text...))
		require.NoError(t, err)
		require.Equal(t, entry, read.Entry)
		encoded, err := encodeArrival(read)
		require.NoError(t, err)
		now := strings.Contains(text, "true")
		require.Equal(t, now, bytes.Contains(encoded, []byte(`"CheckNow":true`)), "earlier versions read this member")
	}
}

// A version may reject a report that the previous version recorded. That must not prevent Open.
func TestReportThatNoLongerParsesIsQuarantined(t *testing.T) {
	for raw, reason := range map[string]dlr.Reason{
		`{"type":"delivery_report_rcs","batch_id":"1"}`:           dlr.UnknownType,
		`{"type":"mo_text"}`:                                      dlr.NoID,
		`{"type":"recipient_delivery_report_sms","batch_id":"1"}`: dlr.NoRecipient,
		`[]`: dlr.NotJSON,
	} {
		report := store.Report{Report: &dlr.Report{BatchID: "1"}, Raw: []byte(raw)}
		a := store.Arrival{Plan: "plan", At: noon, Entry: report}
		read, err := decodeArrival(asRecorded(t, a).encoded)
		require.NoError(t, err)
		q, ok := read.Entry.(store.Quarantined)
		require.True(t, ok)
		require.Equal(t, reason, q.Reason)
		require.JSONEq(t, raw, string(q.Raw))
	}
}

func TestFrameOfArrivalsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arrivals := rapid.SliceOfN(anyArrival(), 0, 6).Draw(t, "arrivals")
		group := []recorded{{}} // the empty arrival that Ready records
		for _, a := range arrivals {
			group = append(group, asRecorded(t, a))
		}
		body := encodeFrame(nil, group)[len(journal.Begin(nil)):]
		p := journal.Ref{Seq: 7, Arrivals: len(arrivals)}
		read, err := decodeFrame(p, body)
		require.NoError(t, err)
		require.Equal(t, arrivals, append([]store.Arrival{}, read...))

		p.Arrivals++
		_, err = decodeFrame(p, body)
		require.ErrorContains(t, err, "journal frame 7 holds")
	})
}

func TestArrivalThatCannotBeEncodedOrDecoded(t *testing.T) {
	type unknown struct{ store.BatchInfo }
	_, err := encodeArrival(store.Arrival{Plan: "plan", At: noon, Entry: unknown{}})
	require.ErrorContains(t, err, "encode arrival: unknown type boltstore.unknown")
	notJSON := store.BatchInfo{BatchID: "1", SendAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}
	_, err = encodeArrival(store.Arrival{Plan: "plan", At: noon, Entry: notJSON})
	require.ErrorContains(t, err, "encode arrival")
	_, err = decodeArrival([]byte{99, 0, 0})
	require.ErrorContains(t, err, "unknown kind 99")
	_, err = decodeArrival(nil)
	require.ErrorIs(t, err, packed.ErrShort)
}

// The handlers reuse their buffers as soon as Record returns.
func TestRecordCopiesTheCallersBytes(t *testing.T) {
	for _, entry := range []func(raw []byte) store.Entry{
		func(raw []byte) store.Entry { return parsed(t, raw) },
		func(raw []byte) store.Entry { return store.Quarantined{Reason: dlr.NotJSON, Raw: raw} },
	} {
		raw := []byte(`{"type":"recipient_delivery_report_sms","batch_id":"1","recipient":"447700900001",` +
			`"status":"Delivered"}`)
		want := bytes.Clone(raw)
		r := asRecorded(t, store.Arrival{Plan: "plan", At: noon, Entry: entry(raw)})
		clear(raw)
		switch n := r.arrival.Entry.(type) {
		case store.Report:
			require.Equal(t, want, n.Raw)
		case store.Quarantined:
			require.Equal(t, want, n.Raw)
		}
	}
}
