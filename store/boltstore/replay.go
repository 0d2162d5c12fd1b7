package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

// replay restores the rows of the recipients by applying all stored reports of the batch again.
func (r *rebuilding) replay() error {
	for after := r.n.Key(); ; {
		key, row := r.tx.Bucket(schema.BucketLog).Cursor().Seek(after)
		if key == nil || schema.NumberOf(key) != r.n || len(key) != 16 {
			return nil
		}
		key = bytes.Clone(key)
		reports, err := schema.Unpack(r.s.decoder, key, row)
		if err != nil {
			done, mendErr := r.mendRow(schema.BucketLog, key)
			if mendErr != nil {
				return mendErr
			}
			r.note(schema.BucketLog, key, err, done)
			if done == isCorrected {
				continue
			}
			r.Holes = true
		}
		for i, logged := range reports {
			a := store.Arrival{Plan: r.Batch.Plan, At: logged.ReceivedAt, Entry: decodeBody(logged.Source, logged.Raw)}
			if _, ok := a.Entry.(store.Report); !ok {
				r.Holes = true
				continue
			}
			if err := r.report(a, store.Ref{Chunk: binary.BigEndian.Uint64(key[8:]), Index: uint64(i)}); err != nil {
				return err
			}
		}
		after = append(key, 0)
	}
}

// report applies one stored report again, in parts if it names many recipients. ref is its place in the report log.
func (r *rebuilding) report(a store.Arrival, ref store.Ref) error {
	all, done := a.Entry.Names(), r.Folded(&a)
	for from := 0; ; {
		part, to := a, min(from+store.MaxRecipients, done)
		if from > 0 || to < all {
			part = fold.Part(&a, from, to)
		}
		if err := r.applyPart(part, ref); err != nil {
			return err
		}
		if from = to; from >= done {
			return nil
		}
	}
}

// applyPart applies one stored report, or a part of it, to the recipients that it names. It restores their damaged or
// missing rows. ref is the report's place in the report log.
func (r *rebuilding) applyPart(a store.Arrival, ref store.Ref) (err error) {
	recipients, numbers := r.tx.Bucket(schema.BucketRecipients), r.tx.Bucket(schema.BucketNumbers)
	rows := make(map[string]*fold.Row)
	damaged := make(map[string]error)
	fold.Touches(a, func(digits string) {
		key := schema.RecipientKey(r.n, digits)
		row := recipients.Get(key)
		if row == nil || rows[digits] != nil {
			return
		}
		rec, cause := rebuiltIn(key, row)
		if cause != nil {
			done, mendErr := r.mendRow(schema.BucketRecipients, key)
			if err = errors.Join(err, mendErr); done != isCorrected {
				damaged[digits] = cause
				return
			}
			r.note(schema.BucketRecipients, key, cause, done)
			if row = recipients.Get(key); row == nil {
				return // the corrected key is that of another recipient
			}
			rec, cause = rebuiltIn(key, row)
			err = errors.Join(err, cause)
		}
		rows[digits] = &fold.Row{Recipient: rec}
	})
	if err != nil {
		return err
	}
	r.Apply(rows, a, ref)
	changed := 0
	for _, digits := range slices.Sorted(maps.Keys(rows)) {
		row := rows[digits]
		if !row.Changed {
			continue
		}
		key := schema.RecipientKey(r.n, digits)
		if row.New {
			cause := damaged[digits]
			if cause == nil {
				cause = errMissing
			} else if err := r.setAside(schema.BucketRecipients, key, recipients.Get(key)); err != nil {
				return err
			}
			r.note(schema.BucketRecipients, key, cause, isRebuilt)
			r.rowsMade = true
		}
		err := errors.Join(
			recipients.Put(key, schema.SealRecipient(key, &row.Recipient)),
			numbers.Put(schema.NumberKey(r.n, digits), nil),
		)
		if err != nil {
			return err
		}
		changed++
	}
	return r.wrote(changed)
}
