package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func quarantineBounds(t *testing.T, place Place) {
	o := open(t, place, Config{QuarantineEntries: 5})
	for i := range 12 {
		o.record(arrives(i, store.Quarantined{Reason: dlr.NotJSON, Raw: fmt.Append(nil, i)}))
		if i == 7 {
			o.reopen()
		}
	}
	var entries []store.QuarantineEntry
	require.Eventually(t, func() bool { // Record does not wait for the eviction
		entries = o.quarantine()
		return len(entries) <= 5
	}, time.Minute, time.Millisecond)
	require.NotEmpty(t, entries)
	for i, e := range entries {
		require.Equal(t, fmt.Append(nil, 11-i), e.Raw)
		require.Equal(t, sec(11-i), e.ReceivedAt)
	}
	require.Equal(t, 12, o.stats(plan).Quarantined, "the totals include evicted entries")
	require.Eventually(t, func() bool { // another eviction may have begun before the list was read
		left := len(o.quarantine())
		o.observed.mu.Lock()
		defer o.observed.mu.Unlock()
		return o.observed.evicted == 12-left
	}, time.Minute, time.Millisecond)
}

func quarantineBytes(t *testing.T, place Place) {
	o := open(t, place, Config{})
	all := []store.Quarantined{
		{Reason: dlr.NotJSON, Raw: []byte{}},
		{Reason: dlr.NotJSON, Raw: []byte("\x00\xff\xfe not text")},
		{Reason: dlr.UnknownType, Type: "delivery_report_rcs", Raw: []byte(`{"type":"delivery_report_rcs"}`)},
		{Reason: dlr.NoBatchID, Type: dlr.BatchSMS, Raw: []byte(`{"type":"delivery_report_sms"}`)},
	}
	for i, q := range all {
		o.record(at(sec(i), fmt.Sprint("plan ", i), q))
	}
	for range 2 {
		for i, e := range o.quarantine() {
			want := all[len(all)-1-i]
			require.Equal(t, fmt.Sprint("plan ", len(all)-1-i), e.Plan)
			require.Equal(t, want.Reason, e.Reason)
			require.Equal(t, want.Type, e.Type)
			require.True(t, bytes.Equal(want.Raw, e.Raw))
		}
		o.reopen()
	}
	require.Len(t, o.quarantine(), len(all))
	require.Empty(t, o.batches(store.BatchQuery{}), "quarantined callbacks belong to no batch")
}
