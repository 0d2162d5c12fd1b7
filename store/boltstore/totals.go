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
	encoded, err := json.Marshal(t)
	if err != nil {
		return err
	}
	row := append(unsealed(len(encoded)), encoded...)
	return tx.Bucket(bucketMeta).Put(keyTotals, seal(bucketMeta, keyTotals, row))
}

// loadTotals reads the totals. What an older version wrote says nothing of what is awaited: that is then counted anew, and
// written with the next fold.
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

// load reads the totals as they were saved; none leave t empty.
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

// countAwaited counts what is awaited from the batches that Sinch is to be asked after; no others have any.
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
