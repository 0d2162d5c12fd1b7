package storetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestAllReadsAreOneOperation(t *testing.T) {
	f, _ := newFailing()
	f.Fail(storetest.Read, storetest.NotApplied, nil, storetest.Always)
	ctx, k := t.Context(), store.BatchKey{}
	for name, read := range map[string]func() error{
		"MissingReports":   func() error { _, err := f.MissingReports(ctx, "", time.Time{}, 1); return err },
		"Batch":            func() error { _, err := f.Batch(ctx, k); return err },
		"Batches":          func() error { _, err := f.Batches(ctx, store.BatchQuery{}); return err },
		"Recipient":        func() error { _, err := f.Recipient(ctx, k, ""); return err },
		"Recipients":       func() error { _, err := f.Recipients(ctx, k, store.RecipientQuery{}); return err },
		"RecipientBatches": func() error { _, err := f.RecipientBatches(ctx, "", store.Paging{}); return err },
		"Reports":          func() error { _, err := f.Reports(ctx, k, store.Paging{}); return err },
		"Tasks":            func() error { _, err := f.Tasks(ctx, store.TaskQuery{}); return err },
		"Quarantine":       func() error { _, err := f.Quarantine(ctx, store.Paging{}); return err },
		"Stats":            func() error { _, err := f.Stats(ctx); return err },
		"Timeseries":       func() error { _, err := f.Timeseries(ctx, "", time.Time{}, time.Time{}); return err },
	} {
		require.ErrorIs(t, read(), storetest.ErrInjected, name)
	}
	require.Equal(t, 11, f.Calls(storetest.Read))
	require.NoError(t, f.Record(ctx, store.Arrival{}))
}
