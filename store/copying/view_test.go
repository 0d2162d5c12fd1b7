package copying_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// view holds the results of all reads of a store.
type view struct {
	Batches    []*store.Batch
	Recipients map[store.BatchKey][]store.RecipientWithBodies
	Listed     map[store.BatchKey][]*store.Recipient
	Reports    map[store.BatchKey][]store.Logged
	Pending    []*store.Batch
	Dead       []*store.Batch
	Missing    map[string][]*store.Batch
	References map[string][]*store.Batch
	Quarantine []store.QuarantineEntry
	Inbound    []store.InboundMessage
	Stats      []store.PlanStats
	Minutes    []store.MinuteCount
	Numbers    map[string][]store.RecipientInBatch
	Plans      map[string]store.PlanGauges
}

// look calls every read of the store.
func look(t testing.TB, s store.Store) view {
	t.Helper()
	ctx := t.Context()
	v := view{
		Recipients: map[store.BatchKey][]store.RecipientWithBodies{}, Listed: map[store.BatchKey][]*store.Recipient{},
		Reports: map[store.BatchKey][]store.Logged{}, Missing: map[string][]*store.Batch{},
		References: map[string][]*store.Batch{},
		Numbers:    map[string][]store.RecipientInBatch{}, Plans: map[string]store.PlanGauges{},
	}
	v.Batches = pages(t, func(p store.Paging) (store.Page[*store.Batch], error) {
		return s.Batches(ctx, store.BatchQuery{Paging: p})
	})
	for _, b := range v.Batches {
		key := b.Key()
		v.Listed[key] = pages(t, func(p store.Paging) (store.Page[*store.Recipient], error) {
			return s.Recipients(ctx, key, store.RecipientQuery{Paging: p})
		})
		for _, listed := range v.Listed[key] {
			r, err := s.Recipient(ctx, key, listed.Number)
			require.NoError(t, err)
			require.Len(t, r.Bodies, len(r.Reports))
			for _, body := range r.Bodies {
				require.NotEmpty(t, body, "%q %s", key, r.Number)
			}
			v.Recipients[key] = append(v.Recipients[key], r)
			v.Numbers[listed.Number] = nil
		}
		v.Reports[key] = pages(t, func(p store.Paging) (store.Page[store.Logged], error) { return s.Reports(ctx, key, p) })
		v.References[b.ClientReference] = nil
	}
	for reference := range v.References {
		v.References[reference] = pages(t, func(p store.Paging) (store.Page[*store.Batch], error) {
			return s.Batches(ctx, store.BatchQuery{ClientReference: reference, Paging: p})
		})
	}
	for number := range v.Numbers {
		v.Numbers[number] = pages(t, func(p store.Paging) (store.Page[store.RecipientInBatch], error) {
			return s.RecipientBatches(ctx, number, p)
		})
	}
	v.Pending = tasks(t, s, false)
	v.Dead = tasks(t, s, true)
	v.Quarantine = pages(t, func(p store.Paging) (store.Page[store.QuarantineEntry], error) {
		return s.Quarantine(ctx, p)
	})
	v.Inbound = pages(t, func(p store.Paging) (store.Page[store.InboundMessage], error) {
		return s.InboundMessages(ctx, store.InboundQuery{Paging: p})
	})
	require.NotEmpty(t, v.Inbound)
	slices.SortFunc(v.Inbound, func(a, b store.InboundMessage) int { // the order within a millisecond is not defined
		return cmp.Or(b.ArrivedAt.Compare(a.ArrivedAt), strings.Compare(a.Plan, b.Plan), strings.Compare(a.ID, b.ID))
	})
	for i := range v.Quarantine {
		v.Quarantine[i].Raw = slices.Concat([]byte("raw "), v.Quarantine[i].Raw) // nil and empty are equal here
	}
	var err error
	v.Stats, err = s.Stats(ctx)
	require.NoError(t, err)
	for i, p := range v.Stats {
		if len(p.Messages) == 0 {
			v.Stats[i].Messages = nil
		}
		v.Missing[p.Plan], err = s.MissingReports(ctx, p.Plan, noon.Add(1000*time.Hour), 10_000)
		require.NoError(t, err)
		byKey(v.Missing[p.Plan])
	}
	v.Minutes, err = s.Timeseries(ctx, "", noon.Add(-1000*time.Hour), noon.Add(1000*time.Hour))
	require.NoError(t, err)
	for i, m := range v.Minutes {
		if strings.HasPrefix(m.Plan, "\xff") { // boltstore returns the hash of a plan that is too long for a key
			v.Minutes[i].Plan = plans[len(plans)-1]
		}
	}
	slices.SortFunc(v.Minutes, func(a, b store.MinuteCount) int {
		return cmp.Or(a.Minute.Compare(b.Minute), strings.Compare(a.Plan, b.Plan), cmp.Compare(a.Status, b.Status))
	})
	for plan, g := range s.Gauges().Plans {
		v.Plans[plan] = g
	}
	return v
}

// tasks returns the tasks of a store, sorted by key, because stores may order tasks with the same due time
// differently.
func tasks(t testing.TB, s store.Store, dead bool) []*store.Batch {
	all := pages(t, func(p store.Paging) (store.Page[*store.Batch], error) {
		return s.Tasks(t.Context(), store.TaskQuery{Dead: dead, Paging: p})
	})
	byKey(all)
	return all
}

func byKey(batches []*store.Batch) {
	slices.SortFunc(batches, func(a, b *store.Batch) int {
		return cmp.Or(strings.Compare(a.Plan, b.Plan), strings.Compare(a.ID, b.ID))
	})
}

// pages returns all entries of a list, page by page.
func pages[T any](t testing.TB, read func(store.Paging) (store.Page[T], error)) (all []T) {
	t.Helper()
	p := store.Paging{Limit: 70}
	for {
		page, err := read(p)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		p.Cursor = page.Next
	}
}

// owed returns what a relay would claim for all plans at that time, by batch.
func owed(t testing.TB, s store.Store, now time.Time) map[store.BatchKey][]string {
	t.Helper()
	all := map[store.BatchKey][]string{}
	for _, plan := range plans {
		claims, err := s.Claim(t.Context(), plan, now, time.Minute, 10_000)
		require.NoError(t, err)
		for _, c := range claims {
			slices.Sort(c.Recipients)
			all[c.Key] = append(c.Recipients, map[bool]string{true: "whole batch", false: "named"}[c.WholeBatch])
		}
	}
	return all
}

// sameView compares two views entry by entry, because the diff of two whole views takes minutes to print.
func sameView(t testing.TB, want, got view) {
	t.Helper()
	same(t, "batches", want.Batches, got.Batches)
	same(t, "pending", want.Pending, got.Pending)
	same(t, "dead", want.Dead, got.Dead)
	same(t, "quarantine", want.Quarantine, got.Quarantine)
	same(t, "inbound messages", want.Inbound, got.Inbound)
	same(t, "totals", want.Stats, got.Stats)
	same(t, "minutes", want.Minutes, got.Minutes)
	sameOf(t, "recipients", want.Recipients, got.Recipients)
	sameOf(t, "listed", want.Listed, got.Listed)
	sameOf(t, "reports", want.Reports, got.Reports)
	sameOf(t, "missing reports", want.Missing, got.Missing)
	sameOf(t, "references", want.References, got.References)
	sameOf(t, "numbers", want.Numbers, got.Numbers)
	require.Equal(t, want.Plans, got.Plans)
}

func same[T any](t testing.TB, what any, want, got []T) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], "%v: entry %d of %d", what, i, len(want))
	}
	require.Len(t, got, len(want), what)
}

func sameOf[K comparable, T any](t testing.TB, what string, want, got map[K][]T) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for k := range want {
		same(t, fmt.Sprintf("%s of %.80q", what, fmt.Sprint(k)), want[k], got[k])
	}
}
