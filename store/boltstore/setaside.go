package boltstore

import (
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/packed"
)

// These are the limits of BucketDamaged, which keeps copies of damaged rows. trimAside enforces them.
const (
	maxAside      = 1000
	maxAsideBytes = 16 << 20
	maxAsideRow   = 1 << 20 // longer rows are truncated
)

// setAside copies a damaged row to BucketDamaged, where support can inspect it. The row itself stays where it is.
func (c *writeTx) setAside(bucket, key, row []byte) error {
	aside, err := c.tx.CreateBucketIfNotExists(schema.BucketDamaged)
	if err != nil {
		return err
	}
	next, err := aside.NextSequence()
	if err != nil {
		return err
	}
	row = row[:min(len(row), maxAsideRow)]
	p := make(packed.Writer, 0, len(key)+len(row)+32)
	p.Time(time.Now())
	p.Bytes(bucket)
	p.Bytes(key)
	p.Bytes(row)
	return aside.Put(binary.BigEndian.AppendUint64(nil, next), p)
}

// trimAside deletes the oldest of the damaged rows that BucketDamaged keeps, until the bucket is within its limits.
func trimAside(tx *bolt.Tx) error {
	aside := tx.Bucket(schema.BucketDamaged)
	if aside == nil {
		return nil
	}
	entries, bytes := 0, 0
	var beyond [][]byte
	c := aside.Cursor()
	for key, row := c.Last(); key != nil; key, row = c.Prev() {
		entries++
		if bytes += len(row); entries > maxAside || bytes > maxAsideBytes {
			beyond = append(beyond, key)
		}
	}
	for _, key := range beyond {
		if err := aside.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
