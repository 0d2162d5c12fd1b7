package boltstore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// totals are the totals of every plan.
type totals map[string]*store.PlanStats

func (t totals) plan(plan string) *store.PlanStats {
	p := t[plan]
	if p == nil {
		p = &store.PlanStats{Plan: plan}
		t[plan] = p
	}
	return p
}

func (t totals) apply(c store.Changes) { t.plan(c.Plan).Apply(c) }

func (t totals) clone() totals {
	c := make(totals, len(t))
	for plan, p := range t {
		copied := *p
		copied.Messages = slices.Clone(p.Messages)
		c[plan] = &copied
	}
	return c
}

// sorted returns copies in the order of the plans.
func (t totals) sorted() []store.PlanStats {
	all := make([]store.PlanStats, 0, len(t))
	for _, p := range t.clone() {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b store.PlanStats) int { return cmp.Compare(a.Plan, b.Plan) })
	return all
}

func (t totals) save(tx *bolt.Tx) error {
	row, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keyTotals, row)
}

// loadTotals reads the totals. What an older version wrote says nothing of what is awaited: that is then counted anew, and
// written with the next fold.
func loadTotals(tx *bolt.Tx) (totals, error) {
	t := make(totals)
	row := tx.Bucket(bucketMeta).Get(keyTotals)
	if row == nil {
		return t, nil
	}
	if err := json.Unmarshal(row, &t); err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	if bytes.Contains(row, []byte(`"Awaited":`)) {
		return t, nil
	}
	if err := t.countAwaited(tx); err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	return t, nil
}

// countAwaited counts what is awaited from the batches that Sinch is to be asked after; no others have any.
func (t totals) countAwaited(tx *bolt.Tx) error {
	batches := tx.Bucket(bucketBatches)
	return tx.Bucket(bucketChecks).ForEach(func(key, _ []byte) error {
		b, err := packed.DecodeBatch(batches.Get(trailing(key).key()))
		if err != nil {
			return err
		}
		t.plan(b.Plan).Feedback.Awaited += b.Tally().Awaited
		return nil
	})
}
