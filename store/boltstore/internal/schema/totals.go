package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// Totals maps each plan to its counts of batches, messages and feedback. It must not be used concurrently.
type Totals map[string]*store.PlanStats

// Plan returns the totals of a plan, which the caller may change in place. For a new plan, Plan adds zero totals to t.
func (t Totals) Plan(plan string) *store.PlanStats {
	p := t[plan]
	if p == nil {
		p = &store.PlanStats{Plan: plan}
		t[plan] = p
	}
	return p
}

// Apply adds c, the changes of one batch, to the totals of the batch's plan, in place.
func (t Totals) Apply(c store.Changes) { fold.AddChanges(t.Plan(c.Plan), c) }

// Clone returns a deep copy of t.
func (t Totals) Clone() Totals {
	c := make(Totals, len(t))
	for plan, p := range t {
		copied := *p
		copied.Messages = slices.Clone(p.Messages)
		c[plan] = &copied
	}
	return c
}

// Sorted returns copies of the totals, sorted by plan.
func (t Totals) Sorted() []store.PlanStats {
	all := make([]store.PlanStats, 0, len(t))
	for _, p := range t.Clone() {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b store.PlanStats) int { return cmp.Compare(a.Plan, b.Plan) })
	return all
}

// Save writes the totals to BucketMeta. The transaction must be writable.
func (t Totals) Save(tx *bolt.Tx) error {
	encoded, err := json.Marshal(t)
	if err != nil {
		return err
	}
	row := append(Unsealed(len(encoded)), encoded...)
	return tx.Bucket(BucketMeta).Put(KeyTotals, Seal(BucketMeta, KeyTotals, row))
}

// LoadTotals reads the totals from the database. In a new database they are empty. Older versions did not store the
// number of missing reports: LoadTotals then computes it from the batches, and the next Save stores it.
func LoadTotals(tx *bolt.Tx) (Totals, error) {
	t := make(Totals)
	if err := t.Load(tx); err != nil {
		return nil, err
	}
	older, err := lackMissing(tx)
	if err == nil && older {
		err = t.countMissing(tx)
	}
	if err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	return t, nil
}

// lackMissing reports whether an older version wrote the totals, which then lack the number of missing reports. In the
// stored JSON, this number (Tally.Missing) has its older name Awaited.
func lackMissing(tx *bolt.Tx) (lack bool, err error) {
	row := tx.Bucket(BucketMeta).Get(KeyTotals)
	if row == nil {
		return false, nil
	}
	content, err := Unseal(BucketMeta, KeyTotals, row)
	if err != nil {
		return false, err
	}
	var plans map[string]struct {
		Feedback struct {
			Missing *int `json:"Awaited"`
		}
	}
	err = json.Unmarshal(content, &plans)
	for _, p := range plans {
		lack = lack || p.Feedback.Missing == nil
	}
	return lack, err
}

// Load reads the stored totals into t as they are. LoadTotals also computes what older versions did not store. If the
// database stores no totals, t does not change.
func (t *Totals) Load(tx *bolt.Tx) error {
	row := tx.Bucket(BucketMeta).Get(KeyTotals)
	if row == nil {
		return nil
	}
	content, err := Unseal(BucketMeta, KeyTotals, row)
	if err == nil {
		if err = json.Unmarshal(content, t); err != nil {
			err = Damage(BucketMeta, KeyTotals, err)
		}
	}
	if err != nil {
		return fmt.Errorf("totals: %w", err)
	}
	return nil
}

// countMissing computes the number of missing reports (Feedback.Missing) of every plan. It reads only the batches in
// BucketFetches, because no other batch can have missing reports.
func (t Totals) countMissing(tx *bolt.Tx) error {
	for _, p := range t {
		p.Feedback.Missing = 0
	}
	batches := tx.Bucket(BucketBatches)
	return tx.Bucket(BucketFetches).ForEach(func(key, _ []byte) error {
		n := TrailingNumber(key).Key()
		b, err := DecodeBatch(n, batches.Get(n))
		if err != nil {
			return err
		}
		t.Plan(b.Plan).Feedback.Missing += b.Tally().Missing
		return nil
	})
}
