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

// Source is a database whose content is copied to another store. All reads see the same snapshot. It is not safe for
// concurrent use.
type Source struct {
	store *Store
	tx    pgx.Tx
}

var _ copying.Source = (*Source)(nil)

// SQL statements that lock and count the content of a Source.
const (
	// lockBatchTable blocks writers until the export ends: a replica that starts meanwhile waits, and finally fails.
	lockBatchTable = `LOCK TABLE batch IN SHARE MODE`
	limitLockWait  = `SET LOCAL lock_timeout = 10000`

	countBatches = `SELECT count(*), coalesce(max(last_at), '-infinity')::text FROM batch WHERE first_at IS NOT NULL`
	countAll     = `SELECT (SELECT count(*) FROM batch WHERE first_at IS NOT NULL), (SELECT count(*) FROM recipient)`
)

// errNoStore means that the source database has no dlrloop schema, or one whose creation did not finish.
var errNoStore = errors.New("the database has no dlrloop store: give the URL of a database that dlrloop has used")

// OpenSource opens the database of c to copy its content, and changes nothing there. It returns an error if the
// database has no store, another schema version or the mark of an unfinished copy. The error wraps copying.ErrInUse if
// a replica is running; finding out may take about 10 seconds. It wraps copying.ErrWaiting if a destination has not
// received all events. The caller must call Close.
func OpenSource(ctx context.Context, c Config) (*Source, error) {
	s, err := connectBare(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	source := &Source{store: s}
	undelivered := func(ctx context.Context) error { return copying.CheckDelivered(ctx, s) }
	for _, refuse := range []func(context.Context) error{s.refuseOlder, s.refuseUnfinished, s.refuseUsed, undelivered} {
		if err := refuse(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open store: %w", err), source.Close())
		}
	}
	if source.tx, err = s.beginExport(ctx, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), source.Close())
	}
	return source, nil
}

// connectBare returns a Store for copying, with a pool of two connections but without lanes and background goroutines.
// It neither reads nor changes the schema.
func connectBare(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	c.Lanes, c.PoolSize = 0, 2
	pool, err := newPool(ctx, c, new(gate))
	if err != nil {
		return nil, err
	}
	return &Store{config: c, pool: pool}, nil
}

// openBare returns a Store for copying, like connectBare, but also migrates the schema. If c.NoMigrate is set, it
// returns an error for an older schema instead.
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

// refuseOlder returns an error unless the schema has this program's version. It also reads the number of slots (hash
// partitions) and the salt of their hash into s.
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

// refuseUsed returns an error that wraps copying.ErrInUse if a replica is running on the database. A row in table
// replica is no proof, because a crashed replica leaves its row. So refuseUsed waits until a heartbeat counter changes,
// for at most about stoppedAfter.
func (s *Store) refuseUsed(ctx context.Context) error {
	var previous map[string]int64
	for deadline := time.Now().Add(stoppedAfter); ; {
		heartbeats, id, err := s.heartbeats(ctx, previous)
		switch {
		case err != nil:
			return fmt.Errorf("read replicas: %w", err)
		case id != "":
			return fmt.Errorf("%w: replica %s is running", copying.ErrInUse, id)
		case len(heartbeats) == 0 || time.Now().After(deadline):
			return nil
		}
		previous = heartbeats
		pause(ctx, heartbeatEvery/2)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// heartbeats returns the heartbeat counter of each replica by token (a random id of its process). previous is the
// result of the previous call, or nil in the first call. alive is the id of a replica that is new or whose counter has
// changed since the previous call. It is empty if there is none, and in the first call.
func (s *Store) heartbeats(ctx context.Context, previous map[string]int64,
) (heartbeats map[string]int64, alive string, err error) {
	rows, err := s.pool.Query(ctx, readReplicas)
	if err != nil {
		return nil, "", err
	}
	var r replica
	heartbeats = make(map[string]int64)
	_, err = pgx.ForEachRow(rows, []any{&r.token, &r.id, &r.heartbeat}, func() error {
		before, known := previous[r.token]
		if previous != nil && (!known || before != r.heartbeat) {
			alive = unescape(r.id)
		}
		heartbeats[r.token] = r.heartbeat
		return nil
	})
	return heartbeats, alive, err
}

// beginExport begins the read-only transaction of an export. The caller must end it. If exclusive is set, the
// transaction also blocks all writers; with Citus and Portable exclusive has no effect.
func (s *Store) beginExport(ctx context.Context, exclusive bool) (pgx.Tx, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	statements := []string{unlimited}
	if exclusive && !s.config.Dialect.oneSlot() {
		// The first statement after LOCK TABLE creates the snapshot, so it includes what writers committed while this
		// transaction waited for the lock.
		statements = []string{limitLockWait, lockBatchTable, unlimited}
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, tx.Rollback(ctx))
		}
	}
	return tx, nil
}

// Identity identifies the source, so that an interrupted copy continues only from the same store in the same state. Its
// field Store contains the random salt of the schema; its field State contains the number of batches, the time of the
// last arrival and a hash of the totals.
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
		// The mark of a copy stores this text, also that of an older version, so it must not change.
		State: fmt.Sprintf("%d batches, last news %s, totals %x", batches, last, sum[:8]),
	}, nil
}

// Size returns how many batches and recipients the source contains.
func (s *Source) Size(ctx context.Context) (size copying.Size, err error) {
	err = s.tx.QueryRow(ctx, countAll).Scan(&size.Batches, &size.Recipients)
	return size, err
}

// Export passes the whole content of the source to the function each, in pieces of limited size. from is nil, or the
// field Next of the last copied piece to continue after that piece. Export stops at the first error and returns it.
func (s *Source) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	return s.store.export(ctx, s.tx, from, each)
}

// Close ends the transaction and closes all connections of the source. It always returns nil.
func (s *Source) Close() error {
	if s.tx != nil {
		_ = s.tx.Rollback(context.Background()) // the transaction only read; if this fails, pgx closes the connection
	}
	s.store.pool.Close()
	return nil
}

// exportPosition is a position where an export can continue. An unfinished copy stores it in the destination, as JSON.
type exportPosition struct {
	copying.Section
	After  position `json:"after"`            // last batch of the previous page, or last row in another section
	Part   int      `json:"part,omitempty"`   // part of the page
	Batch  int      `json:"batch,omitempty"`  // index of the batch in the page
	Digits string   `json:"digits,omitempty"` // first recipient to read
	Chunk  int64    `json:"chunk,omitempty"`  // first chunk to read
}

// exporter holds the state of one export.
type exporter struct {
	copying.Assembly
	ctx     context.Context // of the call that created the exporter
	tx      pgx.Tx
	slots   int
	oneSlot bool // every statement must stay in one slot
}

// export reads all content in transaction tx and passes it to the function each, piece by piece. It starts at from, the
// JSON form of an exportPosition, or at the beginning if from is nil.
func (s *Store) export(ctx context.Context, tx pgx.Tx, from []byte, each func(copying.Piece) error) error {
	e := &exporter{
		Assembly: copying.Assembly{Each: each}, ctx: ctx,
		tx: tx, slots: s.slots, oneSlot: s.config.Dialect.oneSlot(),
	}
	start := func(s copying.Section) exportPosition { return exportPosition{Section: s} }
	return copying.Export(&e.Assembly, from, start,
		[5]func(exportPosition) error{e.batches, e.minutes, e.quarantine, e.plans, e.inbound})
}

// flushFull passes the piece collected so far to the function Each if the piece is full. next is the position after it.
func (e *exporter) flushFull(next exportPosition) error {
	return e.FlushFull(e.ctx, func() any { return next })
}

func (e *exporter) query(sql string, arguments ...any) (pgx.Rows, error) {
	return e.tx.Query(e.ctx, sql, arguments...)
}
