package pgstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/commit"
)

// Config configures a Store. Only URL is required; a zero value of any other field selects its default.
type Config struct {
	// URL is postgres://… or libpq keywords and values. It may contain a password.
	URL string
	// Policies returns the feedback policy of a plan; nil means the zero Policy for every plan.
	Policies store.Policies
	// Observer receives the results of commits and of retention, and failures; its nil functions are not called.
	Observer store.Observer

	// Memory is the byte limit for arrivals that are queued or being committed; default 96 MiB.
	Memory int
	// Lanes is the number of goroutines that commit arrivals concurrently; default 2.
	Lanes int
	// PoolSize is the maximum number of connections; default Lanes + 8. It overrides pool_max_conns in the URL.
	PoolSize int
	// Slots is the number of slots (hash partitions), at most 1024; default 32. Only a new schema uses it.
	Slots int
	// Dialect is the kind of database; default Postgres.
	Dialect Dialect
	// Replica identifies this process in the gauges and sessions of the database, among the processes that share it;
	// default a random id.
	Replica string

	// NoMigrate makes Open and OpenSink fail if the schema has an older version, instead of migrating the schema.
	NoMigrate bool
	// StatementTimeout is the longest that one statement may run; default 30 s.
	StatementTimeout time.Duration

	// QuarantineEntries is the maximum number of entries in the quarantine; default 10 000.
	QuarantineEntries int
	// QuarantineBytes is the maximum total size of the raw bodies in the quarantine; default 64 MiB.
	QuarantineBytes int
}

// withDefaults returns a copy of c in which defaults replace missing and negative values.
func (c Config) withDefaults() Config {
	if c.Policies == nil {
		c.Policies = func(string) store.Policy { return store.Policy{} }
	}
	c.Memory = cmp.Or(max(c.Memory, 0), 96<<20)
	c.Lanes = cmp.Or(max(c.Lanes, 0), 2)
	c.PoolSize = cmp.Or(max(c.PoolSize, 0), c.Lanes+8)
	c.Slots = cmp.Or(max(c.Slots, 0), 32)
	c.Dialect = cmp.Or(c.Dialect, Postgres)
	c.StatementTimeout = cmp.Or(max(c.StatementTimeout, 0), 30*time.Second)
	c.QuarantineEntries = cmp.Or(max(c.QuarantineEntries, 0), 10_000)
	c.QuarantineBytes = cmp.Or(max(c.QuarantineBytes, 0), 64<<20)
	return c
}

// Store implements store.Store on one PostgreSQL database, which several replicas may share. Open returns a Store.
type Store struct {
	config         Config
	pool           *pgxpool.Pool
	slots          int
	firstCountSlot int // random per process; see countsOf
	salt           []byte
	lanes          []*commit.Committer[recorded]
	streams        []*stream // of the lanes, then of the slow lane; each is used only by its lane
	deleting       deletingBatches
	slow           *commit.Committer[recorded] // runs arrivals that take many transactions
	maxPart        int                         // maximum recipients of one arrival that one transaction folds
	leases         leases
	firstAtClock   firstAtClock
	rowCache       rowCache
	firstOwed      firstOwed
	bounds         bounds // of the quarantine
	idleStreams    idleStreams

	replicas membership

	gaugesMu   sync.Mutex // held while gauges are read and published, so that older values never replace newer ones
	published  atomic.Pointer[store.Gauges]
	background sync.WaitGroup // the goroutines other than the lanes

	progress      progress           // of the running commits
	commitBackoff backoff            // delays commits while they fail
	commitCtx     context.Context    // the context of every commit; Close cancels it after closeTime
	cancelCommits context.CancelFunc // cancels commitCtx

	closing  sync.Once
	closed   atomic.Bool
	stop     context.CancelFunc // stops the background goroutines
	stopping <-chan struct{}    // closed by stop
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.EventLog = (*Store)(nil)
)

// Open connects to the database of c, migrates its schema to the version of this program and starts the goroutines of
// the Store. If c.NoMigrate is set, an older schema is an error instead. A newer schema is always an error. ctx limits
// only Open itself, not the returned Store. The caller must call Close.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.Dialect.Check(); err != nil {
		return nil, fmt.Errorf("open store: dialect: %w", err)
	}
	pool, err := newPool(ctx, c, new(gate))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		config: c, pool: pool,
		bounds:   bounds{grown: make(chan struct{}, 1)},
		progress: progress{underway: make(map[*inFlight]struct{}), trying: make(chan struct{}, 1)},
	}
	if err := s.start(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// start prepares the schema, registers this replica, and starts the lanes (which commit arrivals) and the background
// goroutines. After an error no goroutine is running.
func (s *Store) start(ctx context.Context) error {
	var err error
	if s.config.NoMigrate {
		err = checkSchema(ctx, s.pool)
	} else {
		_, _, err = migrateSchema(ctx, s.pool)
	}
	if err != nil {
		return err
	}
	if s.slots, s.salt, err = readMeta(ctx, s.pool, s.config.Slots); err != nil {
		return err
	}
	s.firstCountSlot = rand.IntN(s.slots)
	if err := s.refresh(ctx); err != nil {
		return err
	}
	if err := s.register(ctx); err != nil {
		return err
	}
	if err := s.refuseUnfinished(ctx); err != nil {
		s.unregister()
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.stopping = stop, running.Done()
	s.commitCtx, s.cancelCommits = context.WithCancel(context.WithoutCancel(ctx))
	s.openLanes()
	s.background.Go(func() { s.runRefresh(running) })
	s.background.Go(func() { s.runHeartbeats(running) })
	s.bounds.grown <- struct{}{} // measure once at the start: the configured bounds may be lower than before
	s.background.Go(func() { s.runEviction(running) })
	return nil
}

// slotOf returns the slot (hash partition) of a batch: a salted hash of plan and batch id, modulo the number of slots.
// Every stored row contains the slot, so the function must never change.
func (s *Store) slotOf(key store.BatchKey) int16 {
	h := sha256.New()
	h.Write(s.salt)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(key.Plan))))
	h.Write([]byte(key.Plan))
	h.Write([]byte(key.BatchID))
	return int16(binary.BigEndian.Uint64(h.Sum(nil)) % uint64(s.slots))
}

// Close commits all queued arrivals, releases the leases of unsettled tasks and closes all connections. It blocks for
// at most about 10 seconds and always returns nil. Once Close is called, Record and all reads return store.ErrClosed.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.stop()
		defer s.cancelCommits()
		late := time.AfterFunc(closeTime, s.cancelCommits)
		defer late.Stop()
		s.closeLanes()
		s.releaseLeases()
		s.background.Wait()
		s.pool.Close()
	})
	return nil
}

// readError returns the error of a read for the caller: store.ErrClosed after Close, else err, which may be wrapped. It
// passes failures of the database to the observer. ErrNotFound, ErrCursor, a *CursorGoneError and the end of a context
// are not failures.
func (s *Store) readError(err error) error {
	_, gone := errors.AsType[*store.CursorGoneError](err)
	switch {
	case err == nil:
		return nil
	case s.closed.Load():
		return store.ErrClosed
	case gone, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCursor):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("read: %w", err)
	}
	s.reportFailure("read", err)
	return fmt.Errorf("read: %w", err)
}

// reportFailure passes err to Observer.Failed. operation is a label value of metric dlrloop_store_errors_total. If err
// shows that the server is gone or read-only, reportFailure also closes all pooled connections.
func (s *Store) reportFailure(operation string, err error) {
	s.resetPool(err)
	if o := s.config.Observer.Failed; o != nil {
		o(operation, err)
	}
}
