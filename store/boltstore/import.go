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
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/disk"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/journal"
)

// Sink is a store directory into which another store is copied. Open returns an error for it until Finish.
type Sink struct {
	dir        *storeDir
	db         *bolt.DB
	config     Config
	compressor *schema.Compressor
	decoder    *zstd.Decoder
}

var _ copying.Sink = (*Sink)(nil)

// OpenSink opens or creates the directory c.Path as the target of a copy, and locks it until Close.
func OpenSink(c Config) (_ *Sink, err error) {
	s := &Sink{config: c.withDefaults()}
	if err := disk.MakeDir(c.Path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.compressor, err = schema.NewCompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.decoder, err = schema.NewDecompressor(); err != nil {
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

// Close closes the database and unlocks the directory.
func (s *Sink) Close() error {
	err := errors.Join(s.db.Close(), s.dir.release())
	s.decoder.Close()
	return err
}

func (s *Sink) journal() string { return filepath.Join(s.config.Path, "journal") }

// Begin implements copying.Sink: it returns the mark from which the copy continues. If an earlier copy of the same
// source was interrupted, that is the last mark of that copy.
func (s *Sink) Begin(_ context.Context, from copying.Identity) (m copying.Mark, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(schema.BucketMeta)
		if kept := meta.Get(schema.KeyCopy); kept != nil {
			m, err = copying.Resume(kept, from)
			return err
		}
		if err := s.empty(tx); err != nil {
			return err
		}
		m = copying.Mark{Source: from}
		return meta.Put(schema.KeyCopy, m.Encode())
	})
	return m, err
}

// empty returns ErrOccupied if the target of the copy holds anything or was ever in use.
func (s *Sink) empty(tx *bolt.Tx) error {
	for _, name := range schema.Buckets {
		if key, _ := tx.Bucket(name).Cursor().First(); key != nil && !bytes.Equal(name, schema.BucketMeta) {
			return fmt.Errorf("%w: %s holds a store", copying.ErrOccupied, s.config.Path)
		}
	}
	journal, err := os.ReadDir(s.journal())
	if err == nil && len(journal) > 0 || tx.Bucket(schema.BucketMeta).Get(schema.KeyPosition) != nil {
		return fmt.Errorf("%w: %s holds a store that was in use", copying.ErrOccupied, s.config.Path)
	}
	return nil
}

// Export implements copying.Sink: it reads back what was imported so far, so that the copy can be verified.
func (s *Sink) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return export(ctx, s.db, s.decoder, from, each)
}

// Import implements copying.Sink: it stores one piece of the source and the progress mark after it, in one transaction.
func (s *Sink) Import(_ context.Context, p copying.Piece, m copying.Mark) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		i := &importer{tx: tx, compressor: s.compressor, puts: make(map[string][]entry)}
		if err := i.piece(p); err != nil {
			return err
		}
		return tx.Bucket(schema.BucketMeta).Put(schema.KeyCopy, m.Encode())
	})
}

// importer stores one piece of the copied store, in one transaction.
type importer struct {
	tx         *bolt.Tx
	compressor *schema.Compressor
	puts       map[string][]entry // rows to write, by bucket
	chunk      uint64             // the highest chunk number imported so far
}

type entry struct{ key, row []byte }

func (i *importer) piece(p copying.Piece) error {
	reached, err := schema.ReadPosition(i.tx)
	if err != nil {
		return err
	}
	i.chunk = reached.Seq
	if err := i.parts(p.Parts); err != nil {
		return err
	}
	for _, m := range p.Minutes {
		key := schema.MinuteKey(fold.MinuteKey{Minute: m.Minute, Plan: m.Plan, Status: m.Status})
		i.put(schema.BucketMinutes, key, schema.SealCount(key, m.Messages))
	}
	i.quarantine(p.Quarantine)
	for k := range p.Inbound {
		i.inbound(&p.Inbound[k])
	}
	if err := i.write(); err != nil {
		return err
	}
	if err := i.totals(p.Totals); err != nil {
		return err
	}
	return i.tx.Bucket(schema.BucketMeta).Put(schema.KeyPosition, schema.Position{Seq: i.chunk}.Row())
}

func (i *importer) put(bucket, key, row []byte) {
	i.puts[string(bucket)] = append(i.puts[string(bucket)], entry{key, row})
}

// write stores the rows collected in i.puts. It sorts them by key, because bbolt inserts sorted keys fastest.
func (i *importer) write() error {
	for name, entries := range i.puts {
		bucket := i.tx.Bucket([]byte(name))
		bucket.FillPercent = 0.9 // later rows mostly have larger keys
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
	newest, _ := i.tx.Bucket(schema.BucketBatches).Cursor().Last()
	last, ids := schema.NumberOf(newest), i.tx.Bucket(schema.BucketIDs)
	fresh := make(map[store.BatchKey]schema.Number) // numbers of batches that are not in bucket ids yet
	for _, p := range parts {
		id := schema.IDKey(p.Key)
		n := max(fresh[p.Key], schema.NumberOf(ids.Get(id)))
		if p.Batch != nil {
			n = max(last+1, schema.NumberAt(p.FirstAt)+schema.Number(p.FirstAt.Nanosecond()/1000%1000))
			last, fresh[p.Key] = n, n
			i.put(schema.BucketIDs, id, n.Key())
			i.batch(n, p)
		}
		if n == 0 {
			return fmt.Errorf("recipients or reports of batch %s come before the batch itself", p.Key.BatchID)
		}
		i.recipients(n, p)
		for _, c := range p.Log {
			i.chunk = max(i.chunk, c.Number)
			key := schema.LogKey(n, c.Number)
			i.put(schema.BucketLog, key, i.compressor.Pack(key, c.Reports))
		}
	}
	return nil
}

func (i *importer) batch(n schema.Number, p copying.Part) {
	i.chunk = max(i.chunk, p.Chunk)
	i.put(schema.BucketBatches, n.Key(), schema.SealBatch(n, p.Batch))
	at := schema.IndexKeysOf(p.Batch, n)
	for _, index := range []struct{ bucket, key []byte }{
		{schema.BucketDue, at.Due}, {schema.BucketDead, at.Dead}, {schema.BucketFetches, at.Fetch},
	} {
		if index.key != nil {
			i.put(index.bucket, index.key, nil)
		}
	}
}

func (i *importer) recipients(n schema.Number, p copying.Part) {
	for k := range p.Recipients {
		digits := dlr.Digits(p.Recipients[k].Number)
		key := schema.RecipientKey(n, digits)
		i.put(schema.BucketRecipients, key, schema.SealRecipient(key, &p.Recipients[k]))
		i.put(schema.BucketNumbers, schema.NumberKey(n, digits), nil)
	}
}

// quarantine imports unparsable callbacks in the given order. Callbacks that are quarantined later come after them.
func (i *importer) quarantine(entries []store.QuarantineEntry) {
	place := 0
	if newest, _ := i.tx.Bucket(schema.BucketQuarantine).Cursor().Last(); newest != nil {
		place = int(binary.BigEndian.Uint32(newest[8:])) + 1
	}
	for _, e := range entries {
		key := schema.QuarantineKey(0, place)
		a := store.Arrival{Plan: e.Plan, At: e.ReceivedAt}
		i.put(schema.BucketQuarantine, key, schema.SealQuarantined(key, a, e.Quarantined))
		place++
	}
}

func (i *importer) inbound(m *store.InboundMessage) {
	key := schema.InboundKey(m.Plan, m.ID)
	i.put(schema.BucketInbound, key, schema.SealInbound(key, m))
	for _, e := range schema.InboundEntriesOf(key, m) {
		i.put(e.Bucket, e.Key, e.Row)
	}
}

func (i *importer) totals(plans []store.PlanStats) error {
	if len(plans) == 0 {
		return nil
	}
	t := make(schema.Totals)
	if err := t.Load(i.tx); err != nil {
		return err
	}
	for k := range plans {
		t[plans[k].Plan] = &plans[k]
	}
	return t.Save(i.tx)
}

// Finish implements copying.Sink: it creates the journal and deletes the progress mark, so that Open accepts the store.
func (s *Sink) Finish(context.Context) error {
	var reached schema.Position
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		reached, err = schema.ReadPosition(tx)
		return err
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(s.journal()); err != nil { // left by an interrupted Finish
		return fmt.Errorf("create the journal: %w", err)
	}
	// The frames' numbers begin above all chunk numbers of the report log, because a frame numbers the new chunks.
	created, err := journal.Create(s.journal(), reached.Seq, s.config.journal())
	if err != nil {
		return fmt.Errorf("create the journal: %w", err)
	}
	reached = schema.Position{Seq: created.Seq, Salt: created.Salt}
	return s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(schema.BucketMeta)
		return errors.Join(meta.Put(schema.KeyPosition, reached.Row()), meta.Delete(schema.KeyCopy))
	})
}
