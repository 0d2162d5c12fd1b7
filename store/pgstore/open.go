package pgstore

import (
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
)

// Config says where and how a Store keeps things. Only URL is needed.
type Config struct {
	URL      string         // postgres://…, or keywords and values as libpq has them. It may hold a password
	Policies store.Policies // how plans earn feedback; nil gives every plan the zero Policy
	Observer store.Observer

	Memory   int     // bytes that arrivals may take from Record until they are committed; default 96 MiB
	Lanes    int     // groups that are committed side by side; default 2
	PoolSize int     // most connections; default Lanes + 8. What the URL says of it does not count
	Slots    int     // fixed when the schema is made, at most 1024; default 32
	Dialect  Dialect // default Postgres
	Replica  string  // the id of this replica among those that share the database; default a random one

	NoMigrate        bool          // refuse a database whose schema is of another version, instead of bringing it to this one
	StatementTimeout time.Duration // the longest that one statement may take; default 30 s

	QuarantineEntries int // most entries kept, default 10 000
	QuarantineBytes   int // most bytes kept, default 64 MiB
}

func (c Config) withDefaults() Config {
	if c.Policies == nil {
		c.Policies = func(string) store.Policy { return store.Policy{} }
	}
	if c.Memory <= 0 {
		c.Memory = 96 << 20
	}
	if c.Lanes <= 0 {
		c.Lanes = 2
	}
	if c.PoolSize <= 0 {
		c.PoolSize = c.Lanes + 8
	}
	if c.Slots <= 0 {
		c.Slots = 32
	}
	if c.Dialect == "" {
		c.Dialect = Postgres
	}
	if c.StatementTimeout <= 0 {
		c.StatementTimeout = 30 * time.Second
	}
	if c.QuarantineEntries <= 0 {
		c.QuarantineEntries = 10_000
	}
	if c.QuarantineBytes <= 0 {
		c.QuarantineBytes = 64 << 20
	}
	return c
}

// Store keeps everything in one database. See the package's documentation.
type Store struct {
	config Config
	pool   *pgxpool.Pool
	slots  int
	spread int // where the lanes of this process begin to count
	salt   []byte
	lanes  []*store.Committer[recorded]
	slow   *store.Committer[recorded] // the lane of what takes many transactions
	part   int                        // most recipients that one transaction folds of one arrival
	leases leases
	births births
	known  known
	owed   owed
	bounds bounds // of the quarantine

	replicas membership

	gauging   sync.Mutex // held by whoever reads figures and publishes them: older ones never replace newer ones
	published atomic.Pointer[store.Gauges]
	refreshed sync.WaitGroup // what runs beside the lanes

	progress   progress           // of commits
	commits    pace               // of commits while they fail
	committing context.Context    // of all commits: Close waits no longer than closeTime for them
	giveUp     context.CancelFunc // ends committing

	closing  sync.Once
	closed   atomic.Bool
	stop     context.CancelFunc // of what runs beside the lanes
	stopping <-chan struct{}    // closed by stop
	ended    chan struct{}      // never closed: what is in the database is known whatever becomes of a connection
}

var _ store.Store = (*Store)(nil)

// Open connects to the database and brings its schema to this version, unless c.NoMigrate forbids it: then an older schema is
// an error. A schema that a newer version has changed always is. ctx bounds nothing but the start.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.Dialect.check(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	pool, err := newPool(ctx, c, new(gate))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		config: c, pool: pool, ended: make(chan struct{}),
		bounds:   bounds{grown: make(chan struct{}, 1)},
		progress: progress{underway: make(map[*inFlight]struct{}), trying: make(chan struct{}, 1)},
	}
	if err := s.start(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

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
	s.spread = rand.IntN(s.slots)
	if err := s.refresh(ctx); err != nil {
		return err
	}
	if err := s.join(ctx); err != nil {
		return err
	}
	if err := s.refuseUnfinished(ctx); err != nil {
		s.leave()
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.stopping = stop, running.Done()
	s.committing, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	s.openLanes()
	s.refreshed.Go(func() { s.refreshing(running) })
	s.refreshed.Go(func() { s.beating(running) })
	s.bounds.grown <- struct{}{} // the bounds may be lower than before
	s.refreshed.Go(func() { s.evicting(running) })
	return nil
}

// slotOf is the slot of a batch. It is part of the format.
func (s *Store) slotOf(key store.BatchKey) int16 {
	h := sha256.New()
	h.Write(s.salt)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(key.Plan))))
	h.Write([]byte(key.Plan))
	h.Write([]byte(key.BatchID))
	return int16(binary.BigEndian.Uint64(h.Sum(nil)) % uint64(s.slots))
}

// Done is never closed: a Store of this kind does not end itself.
func (s *Store) Done() <-chan struct{} { return s.ended }

// Err is nil: see Done.
func (s *Store) Err() error { return nil }

// Close commits what is queued, gives back the tasks that were claimed and not settled, and closes all connections.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.stop()
		defer s.giveUp()
		late := time.AfterFunc(closeTime, s.giveUp)
		defer late.Stop()
		s.closeLanes()
		s.giveBack()
		s.refreshed.Wait()
		s.pool.Close()
	})
	return nil
}

// readError is what a caller is told of a statement that failed with err.
func (s *Store) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case s.closed.Load():
		return store.ErrClosed
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCursor):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("read: %w", err)
	}
	s.trouble("read", err)
	return fmt.Errorf("read: %w", err)
}

// trouble tells of a failure, and sees to it that it is not met again on other connections.
func (s *Store) trouble(operation string, err error) {
	s.renew(err)
	if o := s.config.Observer.Failed; o != nil {
		o(operation, err)
	}
}
