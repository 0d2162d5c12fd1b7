package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
)

var lifecycle = []behavior{
	{"an open store is ready", readyWhileOpen},
	{"every call fails after Close", closedRefuses},
	{"Close may be called again and concurrently", closeTwice},
}

func readyWhileOpen(t *testing.T, place Place) {
	o := open(t, place, Config{})
	require.NoError(t, o.Ready(t.Context()))
	o.reopen()
	require.NoError(t, o.Ready(t.Context()))
}

func closedRefuses(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	require.NoError(t, o.Close())
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Record":         func() error { return o.Record(ctx, arrives(1, delivered("batch", bob))) },
		"Claim":          func() error { _, err := o.Claim(ctx, plan, sec(9), time.Minute, 10); return err },
		"MissingReports": func() error { _, err := o.MissingReports(ctx, plan, sec(9), 10); return err },
		"Batch":          func() error { _, err := o.Batch(ctx, key("batch")); return err },
		"Batches":        func() error { _, err := o.Batches(ctx, store.BatchQuery{}); return err },
		"Recipient": func() error {
			_, err := o.Recipient(ctx, key("batch"), alice)
			return err
		},
		"Recipients": func() error {
			_, err := o.Recipients(ctx, key("batch"), store.RecipientQuery{})
			return err
		},
		"RecipientBatches": func() error { _, err := o.RecipientBatches(ctx, alice, store.Paging{}); return err },
		"Reports":          func() error { _, err := o.Reports(ctx, key("batch"), store.Paging{}); return err },
		"Tasks":            func() error { _, err := o.Tasks(ctx, store.TaskQuery{}); return err },
		"InboundMessage":   func() error { _, err := o.InboundMessage(ctx, plan, "mo"); return err },
		"InboundMessages": func() error {
			_, err := o.InboundMessages(ctx, store.InboundQuery{})
			return err
		},
		"Quarantine": func() error { _, err := o.Quarantine(ctx, store.Paging{}); return err },
		"Stats":      func() error { _, err := o.Stats(ctx); return err },
		"Timeseries": func() error { _, err := o.Timeseries(ctx, plan, epoch, sec(60)); return err },
		"Requeue":    func() error { _, err := o.Requeue(ctx, key("batch"), sec(0)); return err },
		"Expire":     func() error { _, _, err := o.DeleteOlder(ctx, sec(0), 10); return err },
		"Ready":      func() error { return o.Ready(ctx) },
	} {
		require.ErrorIs(t, call(), store.ErrClosed, name)
	}
	_ = o.Gauges() // a scrape may call Gauges at any time
	o.Store = o.place(t, o.config)
	require.Len(t, o.recipients(key("batch"), store.RecipientQuery{}), 1, "a refused arrival must not be stored")
}

func closeTwice(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	var g errgroup.Group
	for range 8 {
		g.Go(o.Close)
	}
	require.NoError(t, g.Wait())
	require.NoError(t, o.Close())
}
