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

// Source is a database opened as the source of a copy. All its reads see the same state.
type Source struct {
	store *Store
	tx    pgx.Tx
}

var _ copying.Source = (*Source)(nil)

const (
	// Blocks writers until the export ends: a replica that starts meanwhile waits, and finally fails.
	lockBatchTable = `LOCK TABLE batch IN SHARE MODE`
	limitLockWait  = `SET LOCAL lock_timeout = 10000`

	countBatches = `SELECT count(*), coalesce(max(last_at), '-infinity')::text FROM batch WHERE first_at IS NOT NULL`
	countAll     = `SELECT (SELECT count(*) FROM batch WHERE first_at IS NOT NULL), (SELECT count(*) FROM recipient)`
)

// errNoStore means that the source database has no dlrloop schema, or an incomplete one.
var errNoStore = errors.New("the database has no dlrloop store: give the URL of a database that dlrloop has used")

// OpenSource opens a database as the source of a copy. It changes nothing there. It returns an error if the database
// has no store, an older schema or an unfinished copy, and copying.ErrInUse if a replica runs. Finding that out may
// take about 10 seconds.
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

// connectBare returns a Store with a pool of two connections, but without lanes and background goroutines.
func connectBare(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	c.Lanes, c.PoolSize = 0, 2
	pool, err := newPool(ctx, c, new(gate))
	if err != nil {
		return nil, err
	}
	return &Store{config: c, pool: pool}, nil
}

// openBare is connectBare followed by a migration of the schema, or by a check if c.NoMigrate is set.
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

// refuseOlder returns an error unless the schema has this program's version. It also reads the number of slots and
// the salt.
func (s *Store) refuseOlder(ctx context.Context) error {
	kept, known, err := versions(ctx, s.pool)
	switch {
	case err != nil:
		return err
	case kept == 0:
		return errNoStore
	case kept < known:
		return fmt.Errorf("the database has schema version %d, this dlrloop copies version %d, and a copy never changes "+
			"its source: run `dlrloop migrate` on the source first",
			kept, known)
	}
	var made bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM meta WHERE id = 1)`).Scan(&made); err != nil {
		return fmt.Errorf("read the number of slots: %w", err)
	}
	if !made {
		return errNoStore // a migration created the tables, but Open or Migrate did not finish
	}
	s.slots, s.salt, err = readMeta(ctx, s.pool, s.config.Slots)
	return err
}

// refuseUsed returns copying.ErrInUse if a replica runs. A row may also be left by a crashed replica, so it watches
// the heartbeats for stoppedAfter.
func (s *Store) refuseUsed(ctx context.Context) error {
	var seen map[string]int64
	for deadline := time.Now().Add(stoppedAfter); ; {
		heartbeats, id, err := s.heartbeats(ctx, seen)
		switch {
		case err != nil:
			return fmt.Errorf("read replicas: %w", err)
		case id != "":
			return fmt.Errorf("%w: replica %s is running", copying.ErrInUse, id)
		case len(heartbeats) == 0 || time.Now().After(deadline):
			return nil
		}
		seen = heartbeats
		pause(ctx, heartbeatEvery/2)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// heartbeats reads the heartbeats of all replicas by token. alive is the id of a replica whose heartbeat differs from
// that in seen; it is empty if seen is nil.
func (s *Store) heartbeats(ctx context.Context, seen map[string]int64,
) (heartbeats map[string]int64, alive string, err error) {
	rows, err := s.pool.Query(ctx, readReplicas)
	if err != nil {
		return nil, "", err
	}
	var r replica
	heartbeats = make(map[string]int64)
	_, err = pgx.ForEachRow(rows, []any{&r.token, &r.id, &r.heartbeat}, func() error {
		before, known := seen[r.token]
		if seen != nil && (!known || before != r.heartbeat) {
			alive = unescape(r.id)
		}
		heartbeats[r.token] = r.heartbeat
		return nil
	})
	return heartbeats, alive, err
}

// beginExport begins the transaction of an export. If exclusive is set, it blocks all writers until the transaction
// ends; with Citus and Portable it does not.
func (s *Store) beginExport(ctx context.Context, exclusive bool) (pgx.Tx, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	statements := []string{unlimited}
	if exclusive && !s.config.Dialect.oneSlot() {
		// The snapshot is taken by the first statement after the lock, so it includes what writers committed while
		// the lock was awaited.
		statements = []string{limitLockWait, lockBatchTable, unlimited}
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, tx.Rollback(ctx))
		}
	}
	return tx, nil
}

// Identity returns the salt of the schema as the identity of the store, and its totals and the time of its last
// arrival as its state.
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
	encoded, err := json.Marshal(totals)
	if err != nil {
		return copying.Identity{}, err
	}
	sum := sha256.Sum256(encoded)
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

// Export passes everything that the database holds to each, starting after position from.
func (s *Source) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return s.store.export(ctx, s.tx, from, each)
}

// Close ends the transaction and closes all connections. It always returns nil.
func (s *Source) Close() error {
	if s.tx != nil {
		_ = s.tx.Rollback(context.Background()) // the transaction only read; if this fails, pgx closes the connection
	}
	s.store.pool.Close()
	return nil
}

// exportPosition is a position in an export. Its JSON form is stored in the mark of a copy.
type exportPosition struct {
	copying.Section
	After  position `json:"after"`            // last batch of the previous page, or last entry of another section
	Part   int      `json:"part,omitempty"`   // part of the page
	Batch  int      `json:"batch,omitempty"`  // index of the batch in the page
	Digits string   `json:"digits,omitempty"` // first recipient to read
	Chunk  int64    `json:"chunk,omitempty"`  // first chunk to read
}

// exporter is one run of an export.
type exporter struct {
	copying.Assembly
	ctx     context.Context // of the call that created the exporter
	tx      pgx.Tx
	slots   int
	oneSlot bool // every statement must stay in one slot
}

func (s *Store) export(ctx context.Context, tx pgx.Tx, from []byte, each func(copying.Piece) error) error {
	e := &exporter{
		Assembly: copying.Assembly{Each: each}, ctx: ctx,
		tx: tx, slots: s.slots, oneSlot: s.config.Dialect.oneSlot(),
	}
	start := func(s copying.Section) exportPosition { return exportPosition{Section: s} }
	return copying.Export(&e.Assembly, from, start,
		[4]func(exportPosition) error{e.batches, e.minutes, e.quarantine, e.plans})
}

// flushFull hands over the collected piece if it is full. at is the position after it.
func (e *exporter) flushFull(at exportPosition) error {
	return e.FlushFull(e.ctx, func() any { return at })
}

func (e *exporter) query(sql string, arguments ...any) (pgx.Rows, error) {
	return e.tx.Query(e.ctx, sql, arguments...)
}
