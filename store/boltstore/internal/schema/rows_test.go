package schema

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// The digits come from the key, or from the row if the key holds only their hash.
func TestRecipientRowRoundTrip(t *testing.T) {
	for _, number := range []string{
		"+447700900001", "00 44 7700-900001", strings.Repeat("9", MaxDigits), strings.Repeat("9", MaxDigits+1),
		"", "group", "a\x00b", "\xffdeadbeef",
	} {
		r := store.Recipient{Number: number, Reports: []store.RecipientReport{}}
		key := RecipientKey(7, dlr.Digits(number))
		read, err := DecodeRecipient(key, SealRecipient(key, &r))
		require.NoError(t, err)
		require.Equal(t, r, read)
	}
}

func TestQuarantineRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := store.Quarantined{
			Reason: rapid.SampledFrom(dlr.Reasons()).Draw(t, "reason"),
			Type:   dlr.Type(storetest.AnyText().Draw(t, "type")),
			Raw:    rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "raw"),
		}
		a := store.Arrival{Plan: storetest.AnyText().Draw(t, "plan"), At: storetest.AnyTime().Draw(t, "at"), Entry: q}
		key := QuarantineKey(1, 2)
		row := SealQuarantined(key, a, q)
		read, err := DecodeQuarantined(key, row)
		require.NoError(t, err)
		require.Equal(t, store.QuarantineEntry{Plan: a.Plan, ReceivedAt: a.At, Quarantined: q}, read)
		storetest.Cuts(t, row, func(row []byte) error { _, err := DecodeQuarantined(key, row); return err })
	})
}

func TestQuarantineRowOfNewerFormatIsRefused(t *testing.T) {
	_, err := DecodeQuarantined(QuarantineKey(1, 2), []byte{quarantineFormat + 1, 0, 0, 0, 0})
	require.ErrorContains(t, err, "quarantine: row has format 2")
}

func TestChunkRoundTrip(t *testing.T) {
	compressor, err := NewCompressor()
	require.NoError(t, err)
	decoder, err := NewDecompressor()
	require.NoError(t, err)
	t.Cleanup(decoder.Close)
	rapid.Check(t, func(t *rapid.T) {
		reports := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Logged {
			return store.Logged{
				ReceivedAt: storetest.AnyTime().Draw(t, "received"),
				Type:       dlr.Type(storetest.AnyText().Draw(t, "type")),
				Source:     storetest.AnySource().Draw(t, "source"),
				Raw:        rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "raw"),
			}
		}), 1, 8).Draw(t, "reports")
		key := LogKey(7, 1)
		chunk := compressor.Pack(key, reports)
		read, err := Unpack(decoder, key, chunk)
		require.NoError(t, err)
		require.Equal(t, reports, read)
		storetest.Cuts(t, chunk, func(chunk []byte) error { _, err := Unpack(decoder, key, chunk); return err })
	})
}

func TestChunkOfOneReportIsSmall(t *testing.T) {
	compressor, err := NewCompressor()
	require.NoError(t, err)
	raw := []byte(`{"type":"recipient_delivery_report_sms","batch_id":"01FC66621XXXXX119Z8PMV1QPQ",` +
		`"recipient":"447700900001","code":0,"status":"Delivered","at":"2026-08-30T08:16:08.930Z",` +
		`"operator_status_at":"2026-08-30T08:16:00Z"}`)
	chunk := compressor.Pack(LogKey(7, 1), []store.Logged{{Type: dlr.RecipientSMS, Raw: raw}})
	require.Less(t, len(chunk), len(raw)*2/3)
}
