package boltstore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// totals holds the totals of every plan, by plan.
type totals map[string]*store.PlanStats

// plan returns the totals of a plan. It adds the plan if it is new.
func (t totals) plan(plan string) *store.PlanStats {
	p := t[plan]
	if p == nil {
		p = &store.PlanStats{Plan: plan}
		t[plan] = p
	}
	return p
}

// apply adds the changes of a fold to the totals.
func (t totals) apply(c store.Changes) { t.plan(c.Plan).Apply(c) }

// clone returns a deep copy.
func (t totals) clone() totals {
	c := make(totals, len(t))
	for plan, p := range t {
		copied := *p
		copied.Messages = slices.Clone(p.Messages)
		c[plan] = &copied
	}
	return c
}

// sorted returns copies of the totals, sorted by plan.
func (t totals) sorted() []store.PlanStats {
	all := make([]store.PlanStats, 0, len(t))
	for _, p := range t.clone() {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b store.PlanStats) int { return cmp.Compare(a.Plan, b.Plan) })
	return all
}

// save writes the totals to bucket meta.
func (t totals) save(tx *bolt.Tx) error {
	encoded, err := json.Marshal(t)
	if err != nil {
		return err
	}
	row := append(unsealed(len(encoded)), encoded...)
	return tx.Bucket(bucketMeta).Put(keyTotals, seal(bucketMeta, keyTotals, row))
}

// loadTotals reads the totals. Totals of older versions lack the number of awaited reports; it is computed from the
// batches and written with the next fold step.
func loadTotals(tx *bolt.Tx) (totals, error) {
	t := make(totals)
	row := tx.Bucket(bucketMeta).Get(keyTotals)
	if err := t.load(tx); err != nil {
		return nil, err
	}
	if row == nil || bytes.Contains(row, []byte(`"Awaited":`)) {
		return t, nil
	}
	if err := t.countAwaited(tx); err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	return t, nil
}

// load reads the stored totals into t. If there are none, t does not change.
func (t *totals) load(tx *bolt.Tx) error {
	row := tx.Bucket(bucketMeta).Get(keyTotals)
	if row == nil {
		return nil
	}
	content, err := unseal(bucketMeta, keyTotals, row)
	if err == nil {
		if err = json.Unmarshal(content, t); err != nil {
			err = damage(bucketMeta, keyTotals, err)
		}
	}
	if err != nil {
		return fmt.Errorf("totals: %w", err)
	}
	return nil
}

// countAwaited computes the number of awaited reports from the batches in bucket checks. No other batch awaits any.
func (t totals) countAwaited(tx *bolt.Tx) error {
	batches := tx.Bucket(bucketBatches)
	return tx.Bucket(bucketChecks).ForEach(func(key, _ []byte) error {
		n := trailing(key).key()
		b, err := batchIn(n, batches.Get(n))
		if err != nil {
			return err
		}
		t.plan(b.Plan).Feedback.Awaited += b.Tally().Awaited
		return nil
	})
}
