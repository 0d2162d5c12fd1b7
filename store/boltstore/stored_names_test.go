package boltstore

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// TestStoredNamesOfEntries compares the JSON of entries in the journal with the JSON that the first version wrote:
// after an upgrade, a journal of an older version must be read with all its members.
func TestStoredNamesOfEntries(t *testing.T) {
	const zero = `"0001-01-01T00:00:00Z"`
	info := store.BatchInfo{
		BatchID: "b", Unknown: true, FeedbackEnabled: true, ReportKind: "full", ClientReference: "c", Recipients: 3,
		Groups: 1, Numbers: []string{"1"}, Canceled: true, Source: store.FromGateway,
	}
	const storedInfo = `{"BatchID": "b", "Missing": true, "FeedbackEnabled": true, "ReportKind": "full",
		"ClientReference": "c", "Recipients": 3, "Groups": 1, "Numbers": ["1"], "Canceled": true, "CreatedAt": ` + zero +
		`, "ModifiedAt": ` + zero + `, "SendAt": ` + zero + `, "ExpireAt": ` + zero + `, "Source": 2`
	for _, c := range []struct {
		entry  store.Entry
		stored string
	}{
		{info, storedInfo + `}`},
		{store.FetchNow{BatchInfo: info}, storedInfo + `, "CheckNow": true}`},
		{
			store.Confirmation{BatchID: "b", Recipients: []string{"1"}, WholeBatch: true},
			`{"BatchID": "b", "Recipients": ["1"], "Everyone": true}`,
		},
		{
			store.Settlement{
				BatchID: "b", Lease: "l", Recipients: []string{"1"}, WholeBatch: true, Outcome: store.OutcomeDead,
				Reason: store.ReasonRejected, Detail: "d", FullReportFetched: true,
			},
			`{"BatchID": "b", "Lease": "l", "Recipients": ["1"], "Everyone": true, "Outcome": 3, "Reason": "rejected",
				"Detail": "d", "Due": ` + zero + `, "FullRead": true}`,
		},
		{
			store.Requeue{BatchID: "b", Recipients: []string{"1"}, WholeBatch: true},
			`{"BatchID": "b", "Recipients": ["1"], "Everyone": true}`,
		},
		{store.ReportFetched{BatchID: "b", Refused: "404"}, `{"BatchID": "b", "Refused": "404"}`},
	} {
		a := store.Arrival{Plan: "p", At: noon, Entry: c.entry}
		encoded, err := encodeArrival(a)
		require.NoError(t, err)
		content := bytes.IndexByte(encoded, '{')
		require.JSONEq(t, c.stored, string(encoded[content:]))
		decoded, err := decodeArrival(append(encoded[:content:content], c.stored...))
		require.NoError(t, err)
		require.Equal(t, a, decoded)
	}
}
