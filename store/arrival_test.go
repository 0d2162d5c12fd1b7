package store

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestCheckRejectsIncompleteArrivals(t *testing.T) {
	for want, a := range map[string]Arrival{
		"record: no plan":     {Entry: BatchInfo{BatchID: "batch"}},
		"record: no entry":    {Plan: "plan"},
		"record: no report":   {Plan: "plan", Entry: Report{}},
		"record: no batch id": {Plan: "plan", Entry: BatchInfo{}},
	} {
		require.EqualError(t, a.Check(), want)
	}
	for _, n := range []Entry{BatchInfo{BatchID: "batch"}, Report{Report: &dlr.Report{BatchID: "batch"}}, Quarantined{}} {
		require.NoError(t, Arrival{Plan: "plan", Entry: n}.Check())
	}
}

// all returns the numbers that n names.
func all(n Entry) (numbers []string) {
	for i := 0; ; i++ {
		list, ok := n.Named(i)
		if !ok {
			return numbers
		}
		numbers = append(numbers, list...)
	}
}

// Each kind of content must report what it names and keeps in the same way, and a range of it names that range.
func TestEveryKindOfEntryReportsWhatItContains(t *testing.T) {
	two := []string{"+447700900001", "447700900002"}
	raw := []byte("raw")
	report := Report{Raw: raw, Report: &dlr.Report{BatchID: "batch", Entries: []dlr.Entry{
		{Recipients: two[:1]}, {Recipients: two[1:]},
	}}}
	for _, test := range []struct {
		entry Entry
		names []string
		raw   []byte
	}{
		{report, two, raw},
		{Quarantined{Raw: raw}, nil, raw},
		{BatchInfo{BatchID: "batch", Numbers: two}, two, nil},
		{FetchNow{BatchInfo{BatchID: "batch", Numbers: two}}, two, nil},
		{Confirmation{BatchID: "batch", Recipients: two}, two, nil},
		{Settlement{BatchID: "batch", Recipients: two}, two, nil},
		{Requeue{BatchID: "batch", Recipients: two}, two, nil},
		{ReportFetched{BatchID: "batch"}, nil, nil},
	} {
		n := test.entry
		require.Equal(t, test.names, all(n), "%T", n)
		require.Equal(t, len(test.names), n.Names(), "%T", n)
		require.Equal(t, test.raw, n.RawBytes(), "%T", n)
		copied := n.WithRaw(slices.Clone(test.raw))
		require.Equal(t, n, copied, "%T", n)
		if test.raw != nil {
			copied.RawBytes()[0] = 'R'
			require.Equal(t, "raw", string(n.RawBytes()), "%T: the copy must not share memory", n)
		}
		if _, whole := n.(Settlement); whole || len(test.names) == 0 {
			require.Equal(t, n, n.Restrict(0, 1), "%T", n)
			continue
		}
		require.IsType(t, n, n.Restrict(1, 2))
		require.Equal(t, two[1:], all(n.Restrict(1, 2)), "%T", n)
		require.Equal(t, two, all(n), "%T: Restrict must not change the whole", n)
	}
}
