package boltstore

import (
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/packed"
)

// Bounds of bucket damaged.
const (
	mostAside      = 1000
	mostAsideBytes = 16 << 20
	mostAsideRow   = 1 << 20 // of a longer row the rest is dropped
)

// setAside keeps the bytes of a damaged row, for people who want to know what is lost. It does not delete the row.
func (c *writeTx) setAside(bucket, key, row []byte) error {
	aside, err := c.tx.CreateBucketIfNotExists(bucketDamaged)
	if err != nil {
		return err
	}
	next, err := aside.NextSequence()
	if err != nil {
		return err
	}
	row = row[:min(len(row), mostAsideRow)]
	p := make(packed.Writer, 0, len(key)+len(row)+32)
	p.Time(time.Now())
	p.Bytes(bucket)
	p.Bytes(key)
	p.Bytes(row)
	return aside.Put(binary.BigEndian.AppendUint64(nil, next), p)
}

// trimAside deletes the oldest entries of bucket damaged until the others are within its bounds.
func trimAside(tx *bolt.Tx) error {
	aside := tx.Bucket(bucketDamaged)
	if aside == nil {
		return nil
	}
	entries, bytes := 0, 0
	var beyond [][]byte
	c := aside.Cursor()
	for key, row := c.Last(); key != nil; key, row = c.Prev() {
		entries++
		if bytes += len(row); entries > mostAside || bytes > mostAsideBytes {
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
