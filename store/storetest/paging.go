package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var paging = []behavior{
	{"pages together hold each entry once", pagesAreComplete},
	{"pages stay complete while more is recorded", pagesAreStable},
	{"a page never exceeds its limit", pageLimits},
	{"an invalid cursor is rejected", wrongCursors},
}

// list is one of a store's lists, such as Batches. read returns one page of it; each item is a text that identifies it.
type list struct {
	name string
	read func(*opened, store.Paging) (store.Page[string], error)
}

var lists = []list{
	{"Batches", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Batches(context.Background(), store.BatchQuery{Paging: p})
		return named(page, err, func(b *store.Batch) string { return b.ID })
	}},
	{"Batches by reference", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Batches(context.Background(), store.BatchQuery{ClientReference: "mine", Paging: p})
		return named(page, err, func(b *store.Batch) string { return b.ID })
	}},
	{"Batches by status", func(o *opened, p store.Paging) (store.Page[string], error) {
		q := store.BatchQuery{Plan: plan, Status: dlr.Delivered, From: epoch, Paging: p}
		page, err := o.Batches(context.Background(), q)
		return named(page, err, func(b *store.Batch) string { return b.ID })
	}},
	{"Recipients", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Recipients(context.Background(), key("big"), store.RecipientQuery{Paging: p})
		return named(page, err, func(r *store.Recipient) string { return r.Number })
	}},
	{"Recipients by status", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Recipients(context.Background(), key("big"), store.RecipientQuery{Status: dlr.Delivered, Paging: p})
		return named(page, err, func(r *store.Recipient) string { return r.Number })
	}},
	{"RecipientBatches", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.RecipientBatches(context.Background(), alice, p)
		return named(page, err, func(r store.RecipientInBatch) string { return r.Key.BatchID })
	}},
	{"Reports", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Reports(context.Background(), key("big"), p)
		return named(page, err, func(l store.Logged) string { return string(l.Raw) })
	}},
	{"Tasks", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Tasks(context.Background(), store.TaskQuery{Paging: p})
		return named(page, err, func(b *store.Batch) string { return b.ID })
	}},
	{"Tasks of a plan", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Tasks(context.Background(), store.TaskQuery{Plan: plan, Paging: p})
		return named(page, err, func(b *store.Batch) string { return b.ID })
	}},
	{"dead Tasks", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Tasks(context.Background(), store.TaskQuery{Dead: true, Paging: p})
		return named(page, err, func(b *store.Batch) string { return b.ID })
	}},
	{"Quarantine", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.Quarantine(context.Background(), p)
		return named(page, err, func(q store.QuarantineEntry) string { return string(q.Raw) })
	}},
	{"InboundMessages", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.InboundMessages(context.Background(), store.InboundQuery{Paging: p})
		return named(page, err, func(m store.InboundMessage) string { return m.ID })
	}},
	{"InboundMessages of a number", func(o *opened, p store.Paging) (store.Page[string], error) {
		page, err := o.InboundMessages(context.Background(), store.InboundQuery{Number: alice, Plan: plan, Paging: p})
		return named(page, err, func(m store.InboundMessage) string { return m.ID })
	}},
}

func named[T any](page store.Page[T], err error, name func(T) string) (store.Page[string], error) {
	names := store.Page[string]{Next: page.Next}
	for _, item := range page.Items {
		names.Items = append(names.Items, name(item))
	}
	return names, err
}

// fill records arrivals that add n items to every list, numbered from first.
func (o *opened) fill(first, n int) {
	o.t.Helper()
	var arrivals []store.Arrival
	for i := first; i < first+n; i++ {
		pending, dead := fmt.Sprintf("pending %d", i), fmt.Sprintf("dead %d", i)
		arrivals = append(arrivals,
			arrives(i, withReference(delivered(pending, alice), "mine")),
			arrives(i, delivered(dead, bob)),
			arrives(i, delivered("big", number(i))),
			arrives(i, store.Quarantined{Reason: dlr.NotJSON, Raw: fmt.Appendf(nil, "callback %d", i)}),
			arrives(i, texts(fmt.Sprintf("mo %d", i), alice, "54321", "")),
		)
	}
	o.record(arrivals...)
	for i := first; i < first+n; i++ {
		o.record(arrives(i, store.Settlement{
			BatchID: fmt.Sprintf("dead %d", i), Recipients: []string{bob}, Outcome: store.OutcomeDead,
		}))
	}
}

func pagesAreComplete(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.fill(0, 25)
	for _, l := range lists {
		whole := every(t, store.MaxLimit, func(p store.Paging) (store.Page[string], error) { return l.read(o, p) })
		require.GreaterOrEqual(t, len(whole), 25, l.name)
		require.Len(t, distinct(whole), len(whole), l.name)
		for _, limit := range []int{0, 1, 2, 7, 24, 25, 26} {
			pages := every(t, limit, func(p store.Paging) (store.Page[string], error) { return l.read(o, p) })
			require.Equal(t, whole, pages, "%s in pages of %d", l.name, limit)
		}
	}
}

func pagesAreStable(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.fill(0, 12)
	before, pages, cursors := map[string][]string{}, map[string][]string{}, map[string]string{}
	for _, l := range lists {
		before[l.name] = every(t, 0, func(p store.Paging) (store.Page[string], error) { return l.read(o, p) })
		page, err := l.read(o, store.Paging{Limit: 5})
		require.NoError(t, err)
		require.NotEmpty(t, page.Next, l.name)
		pages[l.name], cursors[l.name] = page.Items, page.Next
	}
	o.fill(12, 6)
	o.reopen() // a cursor stays valid after a restart
	for _, l := range lists {
		rest := every(t, 3, func(p store.Paging) (store.Page[string], error) {
			if p.Cursor == "" {
				p.Cursor = cursors[l.name]
			}
			return l.read(o, p)
		})
		all := append(pages[l.name], rest...)
		require.Len(t, distinct(all), len(all), l.name)
		require.Subset(t, all, before[l.name], l.name)
	}
}

func distinct(all []string) map[string]bool {
	set := make(map[string]bool)
	for _, s := range all {
		set[s] = true
	}
	return set
}

func pageLimits(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("big", numbers(store.MaxLimit+500)...)))
	for _, limit := range []int{-1, 0, 1, store.MaxLimit, store.MaxLimit + 1, 1 << 40} {
		p := store.Paging{Limit: limit}
		page, err := o.Recipients(t.Context(), key("big"), store.RecipientQuery{Paging: p})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), p.Size())
		require.NotEmpty(t, page.Next)
	}
	for _, limit := range []int{0, store.MaxLimit, 1 << 40} {
		require.Len(t, every(t, limit, func(p store.Paging) (store.Page[*store.Recipient], error) {
			return o.Recipients(t.Context(), key("big"), store.RecipientQuery{Paging: p})
		}), store.MaxLimit+500)
	}
}

func wrongCursors(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.fill(0, 5)
	for _, l := range lists {
		for _, cursor := range []string{"!", "not a cursor", "💥", "\x00", "%"} {
			_, err := l.read(o, store.Paging{Cursor: cursor})
			require.ErrorIs(t, err, store.ErrCursor, "%s with cursor %q", l.name, cursor)
		}
		for _, other := range lists { // a store may accept a cursor of another list, but must not fail otherwise
			page, err := other.read(o, store.Paging{Limit: 2})
			require.NoError(t, err)
			if _, err = l.read(o, store.Paging{Cursor: page.Next}); err != nil {
				require.ErrorIs(t, err, store.ErrCursor, "%s with a cursor of %s", l.name, other.name)
			}
			cut := page.Next[:len(page.Next)/2]
			if _, err = l.read(o, store.Paging{Cursor: cut}); err != nil {
				require.ErrorIs(t, err, store.ErrCursor, "%s with half a cursor of %s", l.name, other.name)
			}
		}
	}
}
