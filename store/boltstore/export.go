package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/copying"
)

// Source is a store that is opened to be copied.
type Source struct{ store *Store }

var _ copying.Source = (*Source)(nil)

// OpenSource opens the store in the folder to be copied. What a crash left in its journal is folded first, which takes the plans'
// policies: without any, such a store is refused.
func OpenSource(ctx context.Context, c Config) (*Source, error) {
	if _, err := os.Stat(filepath.Join(c.Path, "dlrloop.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store: there is none in %s", c.Path)
	}
	c.settled = c.Policies == nil
	s, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Source{s}, nil
}

// ErrUnfolded means that the journal holds arrivals that are not folded.
var ErrUnfolded = errors.New("its journal holds what a crash left: the policies of the plans decide what follows from it")

// Identity names the store by its journal, and its state by the last frame and transaction.
func (s *Source) Identity(context.Context) (id copying.Identity, err error) {
	err = s.store.db.View(func(tx *bolt.Tx) error {
		reached, err := positionIn(tx)
		id = copying.Identity{
			Store: "bolt " + hex.EncodeToString(s.store.journal.salt[:]), State: fmt.Sprintf("frame %d, transaction %d", reached.seq, tx.ID()),
		}
		return err
	})
	return id, err
}

// Size counts batches and recipients.
func (s *Source) Size(context.Context) (size copying.Size, err error) {
	err = guarded(func() error {
		return s.store.db.View(func(tx *bolt.Tx) error {
			size.Batches = tx.Bucket(bucketBatches).Stats().KeyN
			size.Recipients = tx.Bucket(bucketRecipients).Stats().KeyN
			return nil
		})
	})
	return size, err
}

// Export reads everything.
func (s *Source) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return export(ctx, s.store.db, s.store.decoder, from, each)
}

// Close lets others have the folder.
func (s *Source) Close() error { return s.store.Close() }

// The sections of an export, in their order, and the parts of each batch.
const (
	inBatches = iota
	inMinutes
	inQuarantine
	inTotals
)

const (
	partRow = iota
	partRecipients
	partLog
)

// stand is where an export stands: the first key that is not exported yet.
type stand struct {
	Section int    `json:"section"`
	Number  number `json:"number,omitempty"` // of the batch
	Part    int    `json:"part,omitempty"`
	Key     []byte `json:"key,omitempty"`
}

// exporter is one run of an export. It sees one state of the database.
type exporter struct {
	copying.Assembly
	ctx     context.Context // of one call
	tx      *bolt.Tx
	decoder *zstd.Decoder
	totals  totals
}

func export(ctx context.Context, db *bolt.DB, d *zstd.Decoder, from []byte, each func(copying.Piece) error) error {
	var at stand
	if len(from) > 0 {
		if err := json.Unmarshal(from, &at); err != nil {
			return fmt.Errorf("position %.60q: %w", from, err)
		}
	}
	return guarded(func() error {
		return db.View(func(tx *bolt.Tx) (err error) {
			e := &exporter{Assembly: copying.Assembly{Each: each}, ctx: ctx, tx: tx, decoder: d}
			if e.totals, err = loadTotals(tx); err != nil {
				return err
			}
			return e.run(at)
		})
	})
}

func (e *exporter) run(at stand) error {
	for section, read := range []func(stand) error{e.batches, e.minutes, e.quarantine, e.plans} {
		if section < at.Section {
			continue
		}
		if section > at.Section {
			at = stand{Section: section}
		}
		if err := read(at); err != nil {
			return err
		}
	}
	return e.Flush(stand{Section: inTotals + 1}.encode())
}

func (p stand) encode() []byte {
	encoded, err := json.Marshal(p)
	if err != nil {
		panic(err) // it holds nothing that JSON lacks
	}
	return encoded
}

// behind is the stand behind a key.
func (p stand) behind(key []byte) stand {
	p.Key = append(bytes.Clone(key), 0)
	return p
}

// reached gives the piece away when it is full.
func (e *exporter) reached(next func() stand) error {
	if !e.Full() {
		return nil
	}
	if err := e.ctx.Err(); err != nil {
		return err
	}
	return e.Flush(next().encode())
}

func (e *exporter) batches(at stand) error {
	c := e.tx.Bucket(bucketBatches).Cursor()
	for key, row := c.Seek(at.Number.key()); key != nil; key, row = c.Next() {
		n := numberOf(key)
		if n != at.Number {
			at = stand{Number: n}
		}
		b, err := batchIn(key, row)
		if err != nil {
			return err
		}
		born := bornOf(n, b.FirstAt)
		if at.Part == partRow {
			e.Batch(b, born, e.lastChunk(n))
			at = stand{Number: n, Part: partRecipients}
			if err := e.reached(func() stand { return at }); err != nil {
				return err
			}
		}
		if at.Part == partRecipients {
			if err := e.recipients(b.Key(), born, at); err != nil {
				return fmt.Errorf("batch %s: %w", b.ID, err)
			}
			at = stand{Number: n, Part: partLog}
		}
		if err := e.log(b.Key(), born, at); err != nil {
			return fmt.Errorf("batch %s: %w", b.ID, err)
		}
	}
	return nil
}

// bornOf is when a batch was first heard of, with its place among those of the same millisecond.
func bornOf(n number, first time.Time) time.Time {
	place := number(999) // the clock was set back, or others of the same moment came first
	if own := n - numberAt(first); n >= numberAt(first) && own < place {
		place = own
	}
	return first.Add(time.Duration(place) * time.Microsecond)
}

// lastChunk is the last chunk of a batch's log; 0 when it has none.
func (e *exporter) lastChunk(n number) uint64 {
	key, _ := begin(e.tx.Bucket(bucketLog).Cursor(), n.key(), nil, true)
	if numberOf(key) != n {
		return 0
	}
	return binary.BigEndian.Uint64(key[8:])
}

func (e *exporter) recipients(key store.BatchKey, born time.Time, at stand) error {
	prefix := at.Number.key()
	c := e.tx.Bucket(bucketRecipients).Cursor()
	for found, row := c.Seek(append(prefix, at.Key...)); bytes.HasPrefix(found, prefix); found, row = c.Next() {
		r, err := recipientIn(found, row)
		if err != nil {
			return err
		}
		e.Recipient(key, born, r)
		if err := e.reached(func() stand { return at.behind(found[8:]) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) log(key store.BatchKey, born time.Time, at stand) error {
	prefix := at.Number.key()
	c := e.tx.Bucket(bucketLog).Cursor()
	for found, row := c.Seek(append(prefix, at.Key...)); bytes.HasPrefix(found, prefix); found, row = c.Next() {
		reports, err := unpackChunk(e.decoder, found, row)
		if err != nil {
			return err
		}
		e.Log(key, born, copying.Chunk{Number: binary.BigEndian.Uint64(found[8:]), Reports: reports})
		if err := e.reached(func() stand { return at.behind(found[8:]) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) minutes(at stand) error {
	named := e.hashedPlans()
	c := e.tx.Bucket(bucketMinutes).Cursor()
	for key, row := c.Seek(at.Key); key != nil; key, row = c.Next() {
		k := minuteOf(key)
		n, err := countIn(key, row)
		if err != nil {
			return err
		}
		if plan, hashed := named[k.Plan]; hashed {
			k.Plan = plan
		}
		e.Minute(store.MinuteCount{Minute: k.Minute, Plan: k.Plan, Status: k.Status, Messages: n})
		if err := e.reached(func() stand { return at.behind(key) }); err != nil {
			return err
		}
	}
	return nil
}

// hashedPlans are the plans that stand in keys as their hashes.
func (e *exporter) hashedPlans() map[string]string {
	named := make(map[string]string)
	for plan := range e.totals {
		key := appendPlan(nil, plan)
		named[string(key[1:])] = plan
	}
	return named
}

func (e *exporter) quarantine(at stand) error {
	c := e.tx.Bucket(bucketQuarantine).Cursor()
	for key, row := c.Seek(at.Key); key != nil; key, row = c.Next() {
		q, err := decodeQuarantined(key, row)
		if err != nil {
			return err
		}
		e.Quarantined(q)
		if err := e.reached(func() stand { return at.behind(key) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) plans(at stand) error {
	for _, t := range e.totals.sorted() {
		if t.Plan < string(at.Key) {
			continue
		}
		e.Total(t)
		if err := e.reached(func() stand { return at.behind([]byte(t.Plan)) }); err != nil {
			return err
		}
	}
	return nil
}
