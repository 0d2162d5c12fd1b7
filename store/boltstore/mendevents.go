package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// mendRange writes the range of the event log again: from memory or, before that is loaded, from the rows. row is the
// damaged row; nil if there is none.
func (c *writeTx) mendRange(row []byte) (done string, err error) {
	if row != nil {
		if err := c.setAside(schema.BucketMeta, schema.KeyEvents, row); err != nil {
			return "", err
		}
	}
	if !c.s.loaded {
		if c.eventRange, err = rangeFromRows(c.tx); err != nil {
			return "", err
		}
	}
	return "it is written again", c.eventRange.Save(c.tx)
}

// rangeFromRows computes the range of the event log from the rows and from the cursors of the destinations, because the
// stored range is lost. Events that were trimmed in a row of which others are kept are part of the result again.
func rangeFromRows(tx *bolt.Tx) (r schema.EventRange, err error) {
	r = schema.EventRange{First: 1, Next: 1}
	c := tx.Bucket(schema.BucketEvents).Cursor()
	if key, row := c.Last(); len(key) == 8 {
		last, err := schema.OpenEvents(key, row)
		if err != nil {
			last.First, last.Count = binary.BigEndian.Uint64(key), schema.MaxEvents // no number may be used again
		}
		r.Next = last.End()
	}
	reached, err := schema.ReadPosition(tx)
	if err != nil {
		return r, err
	}
	err = tx.Bucket(schema.BucketDestinations).ForEach(func(key, row []byte) error {
		d, err := schema.DecodeDestination(key, row)
		if err != nil {
			return nil // it is mended on its own
		}
		if id, seq, err := decodeEventCursor(d.Cursor); err == nil && id == logIDOf(reached.Salt) {
			r.Next = max(r.Next, seq)
		}
		r.Epoch = max(r.Epoch, d.Epoch)
		return nil
	})
	r.First = r.Next
	if key, _ := c.First(); len(key) == 8 {
		r.First = binary.BigEndian.Uint64(key)
	}
	return r, err
}

// epochAfterLoss is added to the largest known epoch for a destination whose epoch is lost, so that the result is
// larger than the lost one.
const epochAfterLoss = 1 << 40

// restartDestination stores a new row for the destination with this key, whose row is lost. It gets all events again
// that are kept, so that it misses none. The name is taken from the key; if that holds only a hash, it is this hash.
func (c *writeTx) restartDestination(key []byte) error {
	destinations := c.tx.Bucket(schema.BucketDestinations)
	epoch := c.eventRange.Epoch
	err := destinations.ForEach(func(other, row []byte) error {
		if d, err := schema.DecodeDestination(other, row); err == nil {
			epoch = max(epoch, d.Epoch)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d := store.Destination{Name: string(key), Epoch: epoch + epochAfterLoss}
	if err := c.countDeferred(key, &d); err != nil {
		return err
	}
	return destinations.Put(bytes.Clone(key), schema.SealDestination(key, &d))
}

// recountDestination corrects the numbers of deferred and dead events in the row of the destination with this key. done
// is empty if they are right, or if there is no such row.
func (c *writeTx) recountDestination(key []byte) (done string, err error) {
	row := c.tx.Bucket(schema.BucketDestinations).Get(key)
	if len(key) == 0 || row == nil {
		return "", nil
	}
	d, err := schema.DecodeDestination(key, row)
	if err != nil {
		return "", nil // it is mended on its own
	}
	was := d
	if err := c.countDeferred(key, &d); err != nil || d == was {
		return "", err
	}
	d.Epoch++
	return isRecounted, c.tx.Bucket(schema.BucketDestinations).Put(bytes.Clone(key), schema.SealDestination(key, &d))
}

// errDeferredCounts means that the row of a destination is intact, but its counts do not match the stored events.
var errDeferredCounts = errors.New("its counts do not match its deferred and dead events")

// destinations compares the numbers in the row of each destination with its deferred and dead events. Each of these
// must have a destination.
func (v *verifier) destinations(tx *bolt.Tx) error {
	type counts struct{ deferred, dead int }
	found := make(map[string]counts)
	err := tx.Bucket(schema.BucketDeferred).ForEach(func(key, row []byte) error {
		destination := string(schema.DestinationOf(key))
		if e, err := schema.DecodeDeferred(key, row); err == nil {
			n := found[destination]
			if n.deferred++; e.Dead {
				n.deferred, n.dead = n.deferred-1, n.dead+1
			}
			found[destination] = n
		}
		return nil
	})
	if err != nil {
		return err
	}
	damaged := len(v.damaged) > 0 // damaged rows are missing in the counts, and are mended first
	err = tx.Bucket(schema.BucketDestinations).ForEach(func(key, row []byte) error {
		d, err := schema.DecodeDestination(key, row)
		if n := found[string(key)]; err == nil && !damaged && n != (counts{d.Deferred, d.Dead}) {
			v.add(schema.Damage(schema.BucketDestinations, key, errDeferredCounts))
		}
		delete(found, string(key))
		return nil
	})
	for key := range found {
		if !damaged {
			v.add(schema.Damage(schema.BucketDestinations, []byte(key), errMissing))
		}
	}
	return err
}
