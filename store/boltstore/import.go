package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/disk"
	"github.com/dlrloop/dlrloop/store/journal"
)

// keyCopy is the key in bucket meta of the progress mark of an unfinished copy. It is deleted when the copy is
// complete.
var keyCopy = []byte("copy")

// Sink is a directory that a copy fills. It has no journal until the copy is complete.
type Sink struct {
	dir        *storeDir
	db         *bolt.DB
	config     Config
	compressor *compressor
	decoder    *zstd.Decoder
}

var _ copying.Sink = (*Sink)(nil)

// OpenSink opens or creates the directory c.Path and locks it.
func OpenSink(c Config) (_ *Sink, err error) {
	s := &Sink{config: c.withDefaults()}
	if err := disk.MakeDir(c.Path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.compressor, err = newCompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.decoder, err = newDecompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.dir, err = lockDir(c.Path, s.config.LockTimeout); err != nil {
		return nil, err
	}
	if s.db, err = openDatabase(filepath.Join(c.Path, "dlrloop.db"), s.config.LockTimeout); err != nil {
		return nil, errors.Join(err, s.dir.release())
	}
	return s, nil
}

// Close closes the database and releases the directory.
func (s *Sink) Close() error {
	err := errors.Join(s.db.Close(), s.dir.release())
	s.decoder.Close()
	return err
}

// journal returns the path of the journal's directory.
func (s *Sink) journal() string { return filepath.Join(s.config.Path, "journal") }

// Begin implements copying.Sink. It stores the mark of a new copy, or returns the stored mark of a copy from the same
// source.
func (s *Sink) Begin(_ context.Context, from copying.Identity) (m copying.Mark, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if kept := meta.Get(keyCopy); kept != nil {
			m, err = copying.Resume(kept, from)
			return err
		}
		if err := s.empty(tx); err != nil {
			return err
		}
		m = copying.Mark{Source: from}
		return meta.Put(keyCopy, m.Encode())
	})
	return m, err
}

// empty returns ErrOccupied if the directory holds a store that was ever used.
func (s *Sink) empty(tx *bolt.Tx) error {
	for _, name := range buckets {
		if key, _ := tx.Bucket(name).Cursor().First(); key != nil && !bytes.Equal(name, bucketMeta) {
			return fmt.Errorf("%w: %s holds a store", copying.ErrOccupied, s.config.Path)
		}
	}
	journal, err := os.ReadDir(s.journal())
	if err == nil && len(journal) > 0 || tx.Bucket(bucketMeta).Get(keyPosition) != nil {
		return fmt.Errorf("%w: %s holds a store that was in use", copying.ErrOccupied, s.config.Path)
	}
	return nil
}

// Export implements copying.Sink: it reads what is imported so far.
func (s *Sink) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return export(ctx, s.db, s.decoder, from, each)
}

// Import implements copying.Sink. It stores a piece and the mark in one transaction.
func (s *Sink) Import(_ context.Context, p copying.Piece, m copying.Mark) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		i := &importer{tx: tx, compressor: s.compressor, puts: make(map[string][]entry)}
		if err := i.piece(p); err != nil {
			return err
		}
		return tx.Bucket(bucketMeta).Put(keyCopy, m.Encode())
	})
}

// importer is one transaction of an import.
type importer struct {
	tx         *bolt.Tx
	compressor *compressor
	puts       map[string][]entry // rows to write, by bucket
	chunk      uint64             // the highest chunk number imported so far
}

type entry struct{ key, row []byte }

func (i *importer) piece(p copying.Piece) error {
	reached, err := positionIn(i.tx)
	if err != nil {
		return err
	}
	i.chunk = reached.seq
	if err := i.parts(p.Parts); err != nil {
		return err
	}
	for _, m := range p.Minutes {
		key := minuteKey(store.MinuteKey{Minute: m.Minute, Plan: m.Plan, Status: m.Status})
		i.put(bucketMinutes, key, sealCount(key, m.Messages))
	}
	i.quarantine(p.Quarantine)
	if err := i.write(); err != nil {
		return err
	}
	if err := i.totals(p.Totals); err != nil {
		return err
	}
	return i.tx.Bucket(bucketMeta).Put(keyPosition, position{seq: i.chunk}.row())
}

func (i *importer) put(bucket, key, row []byte) {
	i.puts[string(bucket)] = append(i.puts[string(bucket)], entry{key, row})
}

// write puts all rows, sorted by key (see putSorted). Since pieces, too, mostly arrive in key order, it fills pages to
// 90 %.
func (i *importer) write() error {
	for name, entries := range i.puts {
		bucket := i.tx.Bucket([]byte(name))
		bucket.FillPercent = 0.9
		slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
		for _, e := range entries {
			if err := bucket.Put(e.key, e.row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *importer) parts(parts []copying.Part) error {
	newest, _ := i.tx.Bucket(bucketBatches).Cursor().Last()
	last, ids := numberOf(newest), i.tx.Bucket(bucketIDs)
	fresh := make(map[store.BatchKey]number) // numbers of batches that are not in bucket ids yet
	for _, p := range parts {
		id := idKey(p.Key)
		n := max(fresh[p.Key], numberOf(ids.Get(id)))
		if p.Batch != nil {
			n = max(last+1, numberAt(p.Born)+number(p.Born.Nanosecond()/1000%1000))
			last, fresh[p.Key] = n, n
			i.put(bucketIDs, id, n.key())
			i.batch(n, p)
		}
		if n == 0 {
			return fmt.Errorf("recipients or reports of batch %s come before the batch itself", p.Key.BatchID)
		}
		i.recipients(n, p)
		for _, c := range p.Log {
			i.chunk = max(i.chunk, c.Number)
			key := logKey(n, c.Number)
			i.put(bucketLog, key, i.compressor.pack(key, c.Reports))
		}
	}
	return nil
}

func (i *importer) batch(n number, p copying.Part) {
	i.chunk = max(i.chunk, p.Chunk)
	i.put(bucketBatches, n.key(), sealBatch(n, p.Batch))
	at := indexKeysOf(p.Batch, n)
	for _, index := range []struct{ bucket, key []byte }{
		{bucketDue, at.due}, {bucketBuried, at.buried}, {bucketChecks, at.check},
	} {
		if index.key != nil {
			i.put(index.bucket, index.key, nil)
		}
	}
}

func (i *importer) recipients(n number, p copying.Part) {
	for k := range p.Recipients {
		digits := dlr.Digits(p.Recipients[k].Number)
		key := recipientKey(n, digits)
		i.put(bucketRecipients, key, sealRecipient(key, &p.Recipients[k]))
		i.put(bucketNumbers, numberKey(n, digits), nil)
	}
}

// quarantine stores entries in the given order, with keys that sort before all keys made from journal frames.
func (i *importer) quarantine(entries []store.QuarantineEntry) {
	place := 0
	if newest, _ := i.tx.Bucket(bucketQuarantine).Cursor().Last(); newest != nil {
		place = int(binary.BigEndian.Uint32(newest[8:])) + 1
	}
	for _, e := range entries {
		key := quarantineKey(0, place)
		a := store.Arrival{Plan: e.Plan, At: e.ReceivedAt}
		i.put(bucketQuarantine, key, encodeQuarantined(key, a, e.Quarantined))
		place++
	}
}

func (i *importer) totals(plans []store.PlanStats) error {
	if len(plans) == 0 {
		return nil
	}
	t := make(totals)
	if err := t.load(i.tx); err != nil {
		return err
	}
	for k := range plans {
		t[plans[k].Plan] = &plans[k]
	}
	return t.save(i.tx)
}

// Finish implements copying.Sink. It creates a journal whose frames get higher numbers than all chunks of the log, and
// deletes the mark.
func (s *Sink) Finish(context.Context) error {
	var reached position
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		reached, err = positionIn(tx)
		return err
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(s.journal()); err != nil { // left by an interrupted Finish
		return fmt.Errorf("create the journal: %w", err)
	}
	created, err := journal.Create(s.journal(), reached.seq, s.config.journal())
	if err != nil {
		return fmt.Errorf("create the journal: %w", err)
	}
	reached = position{seq: created.Seq, salt: created.Salt}
	return s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		return errors.Join(meta.Put(keyPosition, reached.row()), meta.Delete(keyCopy))
	})
}
