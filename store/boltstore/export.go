package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/copying"
)

// Source is an open store whose contents are copied to another store. It implements copying.Source.
type Source struct{ store *Store }

var _ copying.Source = (*Source)(nil)

// OpenSource opens the store in c.Path for copying. If a crash left reports in the journal, it first applies them to
// the database. That needs the plans' feedback policies: if c.Policies is nil, it returns ErrUnfolded. If events wait
// for a destination, it returns copying.ErrWaiting.
func OpenSource(ctx context.Context, c Config) (*Source, error) {
	if _, err := os.Stat(filepath.Join(c.Path, "dlrloop.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store: there is no store in %s", c.Path)
	}
	c.requireFolded = c.Policies == nil
	s, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	// The copy itself notices the end of ctx.
	if err := copying.CheckDelivered(context.WithoutCancel(ctx), s); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %s: %w", c.Path, err), s.Close())
	}
	return &Source{s}, nil
}

// ErrUnfolded means that the journal holds reports that must be in the database before the store can be copied.
var ErrUnfolded = errors.New("its journal holds reports that a crash left unfolded: folding them needs the " +
	"policies of the plans")

// Identity implements copying.Source: id.Store identifies the store by the random salt of its journal. id.State is
// another text whenever the contents have changed.
func (s *Source) Identity(context.Context) (id copying.Identity, err error) {
	salt := s.store.journal.Salt()
	err = s.store.db.View(func(tx *bolt.Tx) error {
		reached, err := schema.ReadPosition(tx)
		id = copying.Identity{
			Store: "bolt " + hex.EncodeToString(salt[:]),
			State: fmt.Sprintf("frame %d, transaction %d", reached.Seq, tx.ID()),
		}
		return err
	})
	return id, err
}

// Size implements copying.Source: it counts the batches and the recipients. It reads all pages that hold them.
func (s *Source) Size(context.Context) (size copying.Size, err error) {
	err = guarded(func() error {
		return s.store.db.View(func(tx *bolt.Tx) error {
			size.Batches = tx.Bucket(schema.BucketBatches).Stats().KeyN
			size.Recipients = tx.Bucket(schema.BucketRecipients).Stats().KeyN
			return nil
		})
	})
	return size, err
}

// Export implements copying.Source. It reads in one transaction, so all pieces show the store at the same moment.
func (s *Source) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return export(ctx, s.store.db, s.store.decoder, from, each)
}

// Close closes the store and unlocks its directory.
func (s *Source) Close() error { return s.store.Close() }

// exportAt is the position at which an export continues: the first key that is not exported yet.
type exportAt struct {
	copying.Section
	Number schema.Number `json:"number,omitempty"` // the batch's
	Part   int           `json:"part,omitempty"`
	Key    []byte        `json:"key,omitempty"`
}

// exporter is the state of one export (copying the contents to another store), which runs in one read transaction.
type exporter struct {
	copying.Assembly
	ctx     context.Context // that of Export; an exporter lives only for one call
	tx      *bolt.Tx
	decoder *zstd.Decoder
	totals  schema.Totals
}

// export passes the contents of the database to the function emit, piece by piece. It begins at the encoded position,
// or at the start if that is empty.
func export(ctx context.Context, db *bolt.DB, d *zstd.Decoder, position []byte, emit func(copying.Piece) error) error {
	return guarded(func() error {
		return db.View(func(tx *bolt.Tx) (err error) {
			e := &exporter{Assembly: copying.Assembly{Each: emit}, ctx: ctx, tx: tx, decoder: d}
			if e.totals, err = schema.LoadTotals(tx); err != nil {
				return err
			}
			start := func(s copying.Section) exportAt { return exportAt{Section: s} }
			return copying.Export(&e.Assembly, position, start,
				[5]func(exportAt) error{e.batches, e.minutes, e.quarantine, e.plans, e.inbound})
		})
	})
}

// after returns the export position just after the given key.
func (p exportAt) after(key []byte) exportAt {
	p.Key = append(bytes.Clone(key), 0)
	return p
}

// flushFull passes the current piece to e.Each if the piece is full. next returns the position after the piece.
func (e *exporter) flushFull(next func() exportAt) error {
	return e.FlushFull(e.ctx, func() any { return next() })
}

func (e *exporter) batches(at exportAt) error {
	c := e.tx.Bucket(schema.BucketBatches).Cursor()
	for key, row := c.Seek(at.Number.Key()); key != nil; key, row = c.Next() {
		n := schema.NumberOf(key)
		if n != at.Number {
			at = exportAt{Number: n}
		}
		b, err := schema.DecodeBatch(key, row)
		if err != nil {
			return err
		}
		firstAt := firstAtOf(n, b.FirstAt)
		if at.Part == copying.PartRow {
			e.Batch(b, firstAt, e.lastChunk(n))
			at = exportAt{Number: n, Part: copying.PartRecipients}
			if err := e.flushFull(func() exportAt { return at }); err != nil {
				return err
			}
		}
		if at.Part == copying.PartRecipients {
			if err := e.recipients(b.Key(), firstAt, at); err != nil {
				return fmt.Errorf("batch %s: %w", b.ID, err)
			}
			at = exportAt{Number: n, Part: copying.PartLog}
		}
		if err := e.log(b.Key(), firstAt, at); err != nil {
			return fmt.Errorf("batch %s: %w", b.ID, err)
		}
	}
	return nil
}

// firstAtOf returns the time of the batch's first arrival, plus one microsecond (at most 999) for each earlier batch of
// the same millisecond. An import restores the order of the batches from these times.
func firstAtOf(n schema.Number, first time.Time) time.Time {
	place := schema.Number(999) // if the clock was set back, or for more than 999 batches in the millisecond
	if own := n - schema.NumberAt(first); n >= schema.NumberAt(first) && own < place {
		place = own
	}
	return first.Add(time.Duration(place) * time.Microsecond)
}

// lastChunk returns the number of the last row (chunk) in a batch's report log, or 0 if the log is empty.
func (e *exporter) lastChunk(n schema.Number) uint64 {
	key, _ := begin(e.tx.Bucket(schema.BucketLog).Cursor(), n.Key(), nil, true)
	if schema.NumberOf(key) != n {
		return 0
	}
	return binary.BigEndian.Uint64(key[8:])
}

func (e *exporter) recipients(key store.BatchKey, firstAt time.Time, at exportAt) error {
	prefix := at.Number.Key()
	c := e.tx.Bucket(schema.BucketRecipients).Cursor()
	for found, row := c.Seek(append(prefix, at.Key...)); bytes.HasPrefix(found, prefix); found, row = c.Next() {
		r, err := schema.DecodeRecipient(found, row)
		if err != nil {
			return err
		}
		e.Recipient(key, firstAt, r)
		if err := e.flushFull(func() exportAt { return at.after(found[8:]) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) log(key store.BatchKey, firstAt time.Time, at exportAt) error {
	prefix := at.Number.Key()
	c := e.tx.Bucket(schema.BucketLog).Cursor()
	for found, row := c.Seek(append(prefix, at.Key...)); bytes.HasPrefix(found, prefix); found, row = c.Next() {
		reports, err := schema.Unpack(e.decoder, found, row)
		if err != nil {
			return err
		}
		e.Log(key, firstAt, copying.Chunk{Number: binary.BigEndian.Uint64(found[8:]), Reports: reports})
		if err := e.flushFull(func() exportAt { return at.after(found[8:]) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) minutes(at exportAt) error {
	named := e.hashedPlans()
	c := e.tx.Bucket(schema.BucketMinutes).Cursor()
	for key, row := c.Seek(at.Key); key != nil; key, row = c.Next() {
		k := schema.MinuteOf(key)
		n, err := schema.DecodeCount(key, row)
		if err != nil {
			return err
		}
		if plan, hashed := named[k.Plan]; hashed {
			k.Plan = plan
		}
		e.Minute(store.MinuteCount{Minute: k.Minute, Plan: k.Plan, Status: k.Status, Messages: n})
		if err := e.flushFull(func() exportAt { return at.after(key) }); err != nil {
			return err
		}
	}
	return nil
}

// hashedPlans returns each service plan by the form that it has in database keys. There, a hash replaces a long plan.
func (e *exporter) hashedPlans() map[string]string {
	named := make(map[string]string)
	for plan := range e.totals {
		key := schema.AppendPlan(nil, plan)
		named[string(key[1:])] = plan
	}
	return named
}

func (e *exporter) quarantine(at exportAt) error {
	c := e.tx.Bucket(schema.BucketQuarantine).Cursor()
	for key, row := c.Seek(at.Key); key != nil; key, row = c.Next() {
		q, err := schema.DecodeQuarantined(key, row)
		if err != nil {
			return err
		}
		e.Quarantined(q)
		if err := e.flushFull(func() exportAt { return at.after(key) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) inbound(at exportAt) error {
	c := e.tx.Bucket(schema.BucketInbound).Cursor()
	for key, row := c.Seek(at.Key); key != nil; key, row = c.Next() {
		m, err := schema.DecodeInbound(key, row)
		if err != nil {
			return err
		}
		e.Inbound(m)
		if err := e.flushFull(func() exportAt { return at.after(key) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) plans(at exportAt) error {
	for _, t := range e.totals.Sorted() {
		if t.Plan < string(at.Key) {
			continue
		}
		e.Total(t)
		if err := e.flushFull(func() exportAt { return at.after([]byte(t.Plan)) }); err != nil {
			return err
		}
	}
	return nil
}
