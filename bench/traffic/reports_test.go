package traffic

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestEveryRecipientIsReportedTwice(t *testing.T) {
	reports := Planned(0, 3, 1)
	require.Len(t, reports, 3*Recipients*2)
	seen := make(map[Report]bool)
	keys := make(map[[16]byte]bool)
	for _, r := range reports {
		seen[r] = true
		keys[parse1(t, r.Body()).ContentKey()] = true
	}
	require.Len(t, seen, len(reports))
	require.Len(t, keys, len(reports), "every report must be different")
}

func TestOrderDependsOnlyOnSeed(t *testing.T) {
	require.Equal(t, Planned(0, 2, 1), Planned(0, 2, 1))
	require.NotEqual(t, Planned(0, 2, 1), Planned(0, 2, 2))
	mixed := make(map[int]bool)
	for _, r := range Planned(0, 200, 1)[:2000] {
		mixed[r.Batch] = true
	}
	require.Greater(t, len(mixed), 190, "all batches must be active at the same time")
}

func TestBodiesParseAsSinchReports(t *testing.T) {
	first, second := parse1(t, Report{7, 42, Dispatched}.Body()), parse1(t, Report{7, 42, Delivered}.Body())
	for _, r := range []*dlr.Report{first, second} {
		require.Equal(t, dlr.RecipientSMS, r.Type)
		require.Equal(t, BatchID(7), r.BatchID)
		require.Equal(t, "otp/0007", r.ClientReference)
		require.Equal(t, []string{Number(7*Recipients + 42)}, r.Entries[0].Recipients)
	}
	require.Equal(t, dlr.Dispatched, first.Entries[0].Status)
	require.Equal(t, 401, first.Entries[0].Code)
	require.Equal(t, dlr.Delivered, second.Entries[0].Status)
	require.False(t, second.Entries[0].OperatorAt.IsZero())
	require.True(t, second.At().After(first.At()))
}

func TestFullReportListsEveryRecipientOnce(t *testing.T) {
	full := parse1(t, FullBody(7, Number))
	require.Equal(t, dlr.BatchSMS, full.Type)
	require.Equal(t, BatchID(7), full.BatchID)
	require.Equal(t, Recipients, full.Total)
	seen := make(map[string]bool)
	for i, of := range []int{Recipients - FullFailed, FullFailed} {
		require.Equal(t, of, full.Entries[i].Count)
		require.Len(t, full.Entries[i].Recipients, of)
		for _, r := range full.Entries[i].Recipients {
			seen[r] = true
		}
	}
	require.Len(t, seen, Recipients)
	require.True(t, seen[Number(7*Recipients)])
}

func parse1(t *testing.T, body []byte) *dlr.Report {
	t.Helper()
	c, err := dlr.Parse(body)
	require.NoError(t, err)
	require.NotNil(t, c.Report)
	return c.Report
}
