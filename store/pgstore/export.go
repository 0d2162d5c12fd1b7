package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store/copying"
)

// Source is a database that is opened to be copied. What it reads is one state of the database.
type Source struct {
	store *Store
	tx    pgx.Tx
}

var _ copying.Source = (*Source)(nil)

const (
	// Who would write waits, and is refused in the end: a replica that starts while its database is copied.
	holdBatches = `LOCK TABLE batch IN SHARE MODE`
	lockAtMost  = `SET LOCAL lock_timeout = 10000`

	countBatches = `SELECT count(*), coalesce(max(last_at), '-infinity')::text FROM batch WHERE first_at IS NOT NULL`
	countAll     = `SELECT (SELECT count(*) FROM batch WHERE first_at IS NOT NULL), (SELECT count(*) FROM recipient)`
)

// errNoStore means that a database to be copied was never served.
var errNoStore = errors.New("there is no store in this database, and a source is left as it is: give the URL of a database that dlrloop has served")

// OpenSource opens a database to be copied, and changes nothing there: one without a store is refused, and one whose schema is older.
// One that a replica uses is refused with copying.ErrInUse.
func OpenSource(ctx context.Context, c Config) (*Source, error) {
	s, err := connectBare(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	source := &Source{store: s}
	for _, refuse := range []func(context.Context) error{s.refuseOlder, s.refuseUnfinished, s.refuseUsed} {
		if err := refuse(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open store: %w", err), source.Close())
		}
	}
	if source.tx, err = s.beginExport(ctx, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), source.Close())
	}
	return source, nil
}

// connectBare makes a Store that does nothing beside what it is asked for.
func connectBare(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	c.Lanes, c.PoolSize = 0, 2
	pool, err := newPool(ctx, c, new(gate))
	if err != nil {
		return nil, err
	}
	return &Store{config: c, pool: pool}, nil
}

// openBare is connectBare for a database whose schema is brought to this version, unless c.NoMigrate forbids it.
func openBare(ctx context.Context, c Config) (*Store, error) {
	s, err := connectBare(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.NoMigrate {
		err = checkSchema(ctx, s.pool)
	} else {
		_, _, err = migrateSchema(ctx, s.pool)
	}
	if err == nil {
		s.slots, s.salt, err = readMeta(ctx, s.pool, s.config.Slots)
	}
	if err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// refuseOlder refuses a database whose schema is not of this version, and reads what was fixed when it was made.
func (s *Store) refuseOlder(ctx context.Context) error {
	kept, known, err := versions(ctx, s.pool)
	switch {
	case err != nil:
		return err
	case kept == 0:
		return errNoStore
	case kept < known:
		return fmt.Errorf("the database has schema version %d, this dlrloop copies version %d, and a source is left as it is: run `dlrloop migrate` on it first",
			kept, known)
	}
	var made bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM meta WHERE id = 1)`).Scan(&made); err != nil {
		return fmt.Errorf("look for a store: %w", err)
	}
	if !made {
		return errNoStore // whoever made the tables got no further
	}
	s.slots, s.salt, err = readMeta(ctx, s.pool, s.config.Slots)
	return err
}

// refuseUsed refuses a database that a replica uses. What one left that ended without a word is told from one that lives by
// looking for as long as a beat may be late.
func (s *Store) refuseUsed(ctx context.Context) error {
	var seen map[string]int64
	for deadline := time.Now().Add(goneAfter); ; {
		beats, id, err := s.beats(ctx, seen)
		switch {
		case err != nil:
			return fmt.Errorf("look for replicas: %w", err)
		case id != "":
			return fmt.Errorf("%w: replica %s runs", copying.ErrInUse, id)
		case len(beats) == 0 || time.Now().After(deadline):
			return nil
		}
		seen = beats
		pause(ctx, beatEvery/2)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// beats reads the beats of all replicas, and the id of one that has beaten since they were seen.
func (s *Store) beats(ctx context.Context, seen map[string]int64) (beats map[string]int64, alive string, err error) {
	rows, err := s.pool.Query(ctx, readReplicas)
	if err != nil {
		return nil, "", err
	}
	var r replica
	beats = make(map[string]int64)
	_, err = pgx.ForEachRow(rows, []any{&r.token, &r.id, &r.beat}, func() error {
		before, known := seen[r.token]
		if seen != nil && (!known || before != r.beat) {
			alive = plain(r.id)
		}
		beats[r.token] = r.beat
		return nil
	})
	return beats, alive, err
}

// beginExport begins the transaction of an export, and if asked keeps everybody from writing until it ends.
func (s *Store) beginExport(ctx context.Context, alone bool) (pgx.Tx, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	statements := []string{unlimited}
	if alone && !s.config.Dialect.oneSlot() {
		// The first statement that reads decides what is seen: who writes until the lock is there is seen too.
		statements = []string{lockAtMost, holdBatches, unlimited}
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, tx.Rollback(ctx))
		}
	}
	return tx, nil
}

// Identity names the store by what was drawn when its schema was made, and its state by its totals and last news.
func (s *Source) Identity(ctx context.Context) (copying.Identity, error) {
	var batches int
	var last string
	if err := s.tx.QueryRow(ctx, countBatches).Scan(&batches, &last); err != nil {
		return copying.Identity{}, err
	}
	totals, err := totalsIn(ctx, s.tx)
	if err != nil {
		return copying.Identity{}, err
	}
	told, err := json.Marshal(totals)
	if err != nil {
		return copying.Identity{}, err
	}
	sum := sha256.Sum256(told)
	return copying.Identity{
		Store: "postgres " + hex.EncodeToString(s.store.salt),
		State: fmt.Sprintf("%d batches, last news %s, totals %x", batches, last, sum[:8]),
	}, nil
}

// Size counts batches and recipients.
func (s *Source) Size(ctx context.Context) (size copying.Size, err error) {
	err = s.tx.QueryRow(ctx, countAll).Scan(&size.Batches, &size.Recipients)
	return size, err
}

// Export reads everything.
func (s *Source) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return s.store.export(ctx, s.tx, from, each)
}

// Close ends the transaction and all connections.
func (s *Source) Close() error {
	if s.tx != nil {
		_ = s.tx.Rollback(context.Background()) // it only read, and a connection that cannot is closed
	}
	s.store.pool.Close()
	return nil
}

// The sections of an export, in their order, and the parts of a page of batches.
const (
	inBatches = iota
	inMinutes
	inQuarantine
	inTotals
)

const (
	partRows = iota
	partRecipients
	partLog
)

// stand is where an export stands.
type stand struct {
	Section int    `json:"section"`
	After   place  `json:"after"`            // the last batch of the page before, or the last entry of another section
	Part    int    `json:"part,omitempty"`   // of the page
	Batch   int    `json:"batch,omitempty"`  // its number in the page
	Digits  string `json:"digits,omitempty"` // of the next recipient
	Chunk   int64  `json:"chunk,omitempty"`  // the next
}

func (p stand) encode() []byte {
	encoded, err := json.Marshal(p)
	if err != nil {
		panic(err) // every time in it comes from a row
	}
	return encoded
}

// exporter is one run of an export.
type exporter struct {
	copying.Assembly
	ctx     context.Context // of one call
	tx      pgx.Tx
	slots   int
	oneSlot bool // statements are of one slot
}

func (s *Store) export(ctx context.Context, tx pgx.Tx, from []byte, each func(copying.Piece) error) error {
	var at stand
	if len(from) > 0 {
		if err := json.Unmarshal(from, &at); err != nil {
			return fmt.Errorf("position %.60q: %w", from, err)
		}
	}
	e := &exporter{Assembly: copying.Assembly{Each: each}, ctx: ctx, tx: tx, slots: s.slots, oneSlot: s.config.Dialect.oneSlot()}
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

// reached gives the piece away when it is full.
func (e *exporter) reached(at stand) error {
	if !e.Full() {
		return nil
	}
	return e.Flush(at.encode())
}

func (e *exporter) query(sql string, arguments ...any) (pgx.Rows, error) {
	return e.tx.Query(e.ctx, sql, arguments...)
}
