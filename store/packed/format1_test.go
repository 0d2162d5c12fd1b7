package packed

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// Batch rows in format 1: one with all members set, one with almost none.
const (
	fullRow1 = "0104706c616e05626174636880c8d3a88a68d0d7d3a88a68076f726465722037060101020304000a54656c65706f7274" +
		"6564020203000406000a54656c65706f727465640e02000110010203000000000000000000000000001364656c697665" +
		"72795f7265706f72745f736d7380c8d3a88a680104050602040601c0f1daa88a6880c8d3a88a68040673657276657203" +
		"3530330180c8d3a88a680872656a656374656403343030010100010466756c6c076f726465722037060180c8d3a88a68" +
		"d0d7d3a88a68a0e7d3a88a6880828bac8a6803"
	emptyRow1 = "0104706c616e05626174636880c8d3a88a6880c8d3a88a6800000000000000000000000000"
)

func TestDecodeBatchRowOfFormat1(t *testing.T) {
	noon := time.Date(2026, 8, 30, 12, 0, 0, 0, time.UTC)
	row, err := hex.DecodeString(fullRow1)
	require.NoError(t, err)
	b, err := DecodeBatch(row)
	require.NoError(t, err)
	require.Equal(t, &store.Batch{
		Plan: "plan", ID: "batch", FirstAt: noon, LastAt: noon.Add(time.Second), ClientReference: "order 7", Total: 3,
		Flag:            store.FlagWanted,
		NeedsFullReport: true, States: map[dlr.Status]int{dlr.Delivered: 2, "Teleported": 1},
		Reported: []store.Reported{{Status: dlr.Delivered, Named: 2, Claimed: 3}, {Status: "Teleported", Code: 7, Named: 1}},
		Reports: []store.BatchReport{{
			Key: [16]byte{1, 2, 3}, Type: dlr.BatchSMS, ReceivedAt: noon, Source: store.FromPoll, Repeats: 4,
			Ref: store.Ref{Chunk: 5, Index: 6},
		}},
		Feedback: store.FeedbackCounts{Owed: 1, Sent: 2, Dead: 3},
		Task: &store.Task{
			Due: noon.Add(time.Minute), Since: noon, Attempts: 2, Reason: store.ReasonServer, Detail: "503",
		},
		Dead: &store.Dead{At: noon, Reason: store.ReasonRejected, Detail: "400", FullReport: true},
		Info: &store.BatchInfo{
			BatchID: "batch", FeedbackEnabled: true, ReportKind: "full", ClientReference: "order 7", Recipients: 3,
			Canceled:  true,
			CreatedAt: noon, ModifiedAt: noon.Add(time.Second), SendAt: noon.Add(2 * time.Second), ExpireAt: noon.Add(time.Hour),
			Source: store.FromRegistration,
		},
	}, b)
	again, err := DecodeBatch(EncodeBatch(b))
	require.NoError(t, err)
	require.Equal(t, b, again, "encoded again, the row decodes to the same batch")
	rapid.Check(t, func(t *rapid.T) {
		storetest.Cuts(t, row, func(row []byte) error { _, err := DecodeBatch(row); return err })
	})

	row, err = hex.DecodeString(emptyRow1)
	require.NoError(t, err)
	b, err = DecodeBatch(row)
	require.NoError(t, err)
	require.Equal(t, &store.Batch{Plan: "plan", ID: "batch", FirstAt: noon, LastAt: noon}, b)
}
