package boltstore

import (
	"bytes"
	"errors"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// identity recovers the plan and the id of a batch whose row is lost, from index entries and reports. ok is false if
// that fails, or if another batch has the same plan and id.
func (r *rebuilding) identity() (id store.BatchKey, ok bool) {
	var planPart, idPart []byte
	for _, key := range entriesTo(r.tx, schema.BucketIDs, r.n) {
		planPart, idPart = planIn(key)
	}
	for _, name := range [][]byte{schema.BucketDue, schema.BucketFetches, schema.BucketDead} {
		for _, key := range entriesTo(r.tx, name, r.n) {
			if planPart == nil {
				planPart, _ = planIn(key)
			}
		}
	}
	id.BatchID = string(idPart)
	if idPart == nil || schema.Hashed(id.BatchID, 512) {
		first := r.firstReport()
		if first == nil || idPart != nil && !bytes.Equal(schema.AppendPart(nil, first.BatchID, 512), idPart) {
			return id, false
		}
		id.BatchID = first.BatchID
	}
	if id.Plan = string(planPart); planPart == nil || schema.Hashed(id.Plan, 200) {
		id.Plan = ""
		for plan := range r.totals {
			if planPart == nil && len(r.totals) == 1 || bytes.Equal(schema.AppendPart(nil, plan, 200), planPart) {
				id.Plan = plan
			}
		}
	}
	if id.Plan == "" || id.BatchID == "" {
		return id, false
	}
	other := r.tx.Bucket(schema.BucketIDs).Get(schema.IDKey(id))
	return id, other == nil || schema.NumberOf(other) == r.n || r.tx.Bucket(schema.BucketBatches).Get(other) == nil
}

// firstReport returns the batch's first stored report that can be read, or nil if there is none.
func (r *rebuilding) firstReport() *dlr.Report {
	c := r.tx.Bucket(schema.BucketLog).Cursor()
	for key, row := c.Seek(r.n.Key()); key != nil && schema.NumberOf(key) == r.n; key, row = c.Next() {
		reports, _ := schema.Unpack(r.s.decoder, key, row)
		for _, logged := range reports {
			if report, ok := decodeBody(logged.Source, logged.Raw).(store.Report); ok {
				return report.Report
			}
		}
	}
	return nil
}

// planIn splits a database key that begins with a service plan. It returns the plan, or its hash, and the rest of the
// key. Both are nil if the key is too short.
func planIn(key []byte) (plan, rest []byte) {
	if len(key) == 0 || len(key) < 1+int(key[0]) {
		return nil, nil
	}
	return key[1 : 1+int(key[0])], key[1+int(key[0]):]
}

// abandon gives up a batch whose plan and id are unknown or belong to another batch. It keeps the damaged rows and the
// reports in BucketDamaged, for support. The next deletion of old batches deletes the rest. row is the batch's own row,
// or nil.
func (r *rebuilding) abandon(row []byte) error {
	why := "nothing of it is left"
	if belongs(r.tx, r.n) {
		why = "its plan or id is unknown: it is set aside, and later reports create a new batch"
	}
	if len(r.found) > 0 {
		r.found[len(r.found)-1].done = why
	}
	err := r.abandonRecipients()
	if row != nil {
		err = errors.Join(err, r.remove(schema.BucketBatches, r.n.Key(), row))
	}
	for _, id := range entriesTo(r.tx, schema.BucketIDs, r.n) {
		err = errors.Join(err, r.remove(schema.BucketIDs, id, r.n.Key()))
	}
	c := r.tx.Bucket(schema.BucketLog).Cursor()
	for key, chunk := c.Seek(r.n.Key()); key != nil && schema.NumberOf(key) == r.n; key, chunk = c.Next() {
		err = errors.Join(err, r.setAside(schema.BucketLog, key, chunk))
	}
	if belongs(r.tx, r.n) {
		err = errors.Join(err, r.tx.Bucket(schema.BucketTrash).Put(r.n.Key(), nil))
	}
	return errors.Join(err, r.dropEntries(r.n), r.recountLater(), r.forget())
}

// abandonRecipients moves the damaged rows of the batch's recipients to BucketDamaged, where support can inspect them.
func (r *rebuilding) abandonRecipients() (err error) {
	var damaged [][]byte
	recipients := r.tx.Bucket(schema.BucketRecipients)
	c := recipients.Cursor()
	for key, row := c.Seek(r.n.Key()); key != nil && schema.NumberOf(key) == r.n; key, row = c.Next() {
		if _, cause := rebuiltIn(key, row); cause != nil {
			r.note(schema.BucketRecipients, key, cause, isAside)
			damaged = append(damaged, bytes.Clone(key))
		}
	}
	for _, key := range damaged {
		err = errors.Join(err, r.remove(schema.BucketRecipients, key, recipients.Get(key)))
	}
	return err
}
