package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/commit"
	"github.com/dlrloop/dlrloop/store/disk"
	"github.com/dlrloop/dlrloop/store/journal"
)

// Config configures Open. Only Path is required; zero values select the defaults.
type Config struct {
	Path     string         // the store's directory; Open creates it and its parents
	Policies store.Policies // the feedback policy of each plan; nil means the zero Policy for every plan
	Observer store.Observer // nil functions are not called

	Committer   commit.Config // bounds the arrivals that wait for a commit; Bytes defaults to 2 MiB here
	Segment     int           // bytes of a journal segment; default 8 MiB
	FoldEvery   time.Duration // longest time between two fold steps under load; default 2 s
	LockTimeout time.Duration // how long Open waits for another process to release the lock; default 1 s

	// JournalLimit is the maximum size of all segments in bytes; default 64 MiB. When unfolded frames occupy all of
	// it, Record waits and then returns ErrBusy.
	JournalLimit int64

	// BacklogBytes limits the memory for arrivals that are not folded yet; default 32 MiB. The fold reads arrivals
	// beyond it back from the journal.
	BacklogBytes int
	// StepBytes limits the memory of one fold step, without the journal frame it reads; default 64 MiB.
	StepBytes int

	QuarantineEntries int // maximum number of entries; default 10 000. The oldest are evicted
	QuarantineBytes   int // maximum bytes of all entries; default 64 MiB. The oldest are evicted

	requireFolded bool  // refuse a store whose journal has unfolded frames
	verify        int64 // Open verifies the whole database if it has at most this many bytes; default verifySize
}

func (c Config) withDefaults() Config {
	if c.Policies == nil {
		c.Policies = func(string) store.Policy { return store.Policy{} }
	}
	c.Committer.Bytes = cmp.Or(max(c.Committer.Bytes, 0), 2<<20)
	c.Committer.Patience = cmp.Or(max(c.Committer.Patience, 0), 3*time.Second)
	c.Segment = cmp.Or(max(c.Segment, 0), 8<<20)
	c.JournalLimit = cmp.Or(max(c.JournalLimit, 0), 64<<20)
	c.FoldEvery = cmp.Or(max(c.FoldEvery, 0), 2*time.Second)
	c.BacklogBytes = cmp.Or(max(c.BacklogBytes, 0), 32<<20)
	c.StepBytes = cmp.Or(max(c.StepBytes, 0), 64<<20)
	c.verify = cmp.Or(c.verify, verifySize)
	c.LockTimeout = cmp.Or(max(c.LockTimeout, 0), time.Second)
	c.QuarantineEntries = cmp.Or(max(c.QuarantineEntries, 0), 10_000)
	c.QuarantineBytes = cmp.Or(max(c.QuarantineBytes, 0), 64<<20)
	return c
}

func (c Config) journal() journal.Config {
	return journal.Config{Segment: c.Segment, Limit: c.JournalLimit, Patience: c.Committer.Patience}
}

// Store implements store.Store in one directory. Its methods may be called concurrently. The package comment describes
// the directory's files.
type Store struct {
	config    Config
	db        *bolt.DB
	journal   *journal.Journal
	committer *commit.Committer[recorded]
	buf       []byte   // owned by the committer's goroutine
	commits   incident // failed commits; owned by the committer's goroutine
	dir       *storeDir
	backlog   *backlog.Queue
	measured  backlog.Measured // owned by the fold's goroutine
	folding   sync.WaitGroup
	leases    leases
	decoder   *zstd.Decoder

	// writing is held during every write transaction of db, such as fold steps and retention.
	writing         sync.Mutex
	compressor      *schema.Compressor      // guarded by writing
	eventCompressor *schema.EventCompressor // guarded by writing
	totals          schema.Totals           // guarded by writing
	last            schema.Number           // number of the newest batch; guarded by writing
	quarantine      quarantined             // guarded by writing
	eventRange      schema.EventRange       // guarded by writing
	urgent          atomic.Int32            // how many writes wait for which a fold step must not sleep
	published       atomic.Pointer[published]

	erasing chan struct{} // capacity 1; Erase and Close hold its only place

	reported    sync.Map    // damage already reported to the Observer, by row id or text
	unmended    sync.Map    // damaged rows that a read found and the fold has not mended yet, by row id
	startOnly   sync.Map    // damaged rows that only Open can mend, by row id
	damageFound bool        // verify found damage; used only during Open
	loaded      bool        // totals are loaded; set before any goroutine starts
	failing     atomic.Bool // the most recent commit failed
	failure     sync.Once
	failed      chan struct{}
	err         error // why the store ended; set before failed is closed
	closing     sync.Once
	closed      atomic.Bool
	closeErr    error
}

var _ store.Store = (*Store)(nil)

// closeGrace is how long Close waits until a full journal has space for queued arrivals. After that, their Record calls
// return an error.
const closeGrace = 5 * time.Second

// recorded is an arrival (such as a report) and its encoding, queued for the journal. The zero value holds no arrival:
// Ready queues it to test whether the journal can be written.
type recorded struct {
	arrival store.Arrival
	encoded []byte
}

// bytes estimates how many bytes of memory an arrival (such as a report) uses until it is in the database.
func (r recorded) bytes() int { return len(r.encoded) + 512 + 32*r.arrival.Entry.Names() }

// Open opens or creates the store in c.Path. It blocks until damage is mended and the database has all that a crash
// left in the journal; canceling ctx aborts this. It returns an error if another process uses the directory, if a newer
// version wrote it, or if it is too damaged to be used.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if c.Path == "" {
		return nil, errors.New("open store: no path given")
	}
	if err := disk.MakeDir(c.Path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{config: c, measured: backlog.NewMeasured(), failed: make(chan struct{}), erasing: make(chan struct{}, 1)}
	s.backlog = backlog.New(c.BacklogBytes, s.readBack)
	s.leases.held = make(map[schema.Number]lease)
	var err error
	if s.compressor, err = schema.NewCompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.eventCompressor, err = schema.NewEventCompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.decoder, err = schema.NewDecompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.dir, err = lockDir(c.Path, c.LockTimeout); err != nil {
		return nil, err
	}
	if s.db, err = openDatabase(filepath.Join(c.Path, "dlrloop.db"), c.LockTimeout); err != nil {
		return nil, errors.Join(err, s.dir.release())
	}
	if err := s.dir.watch(s.db.Path()); err != nil {
		return nil, errors.Join(err, s.db.Close(), s.dir.release())
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close(), s.dir.release())
	}
	return s, nil
}

// Record implements store.Store: it blocks until the arrival (such as a report) is safe in the journal. If the database
// is far behind, Record also waits for the database. If ctx ends during that wait, Record returns an error although the
// arrival is recorded.
func (s *Store) Record(ctx context.Context, a store.Arrival) error {
	if err := s.makeDurable(ctx, a); err != nil {
		return err
	}
	return s.backlog.Acknowledge(ctx)
}

// Settle implements store.Store: it records how an attempt to send feedback ended, and blocks like Record. The feedback
// task cannot be claimed again until the result is in the database.
func (s *Store) Settle(ctx context.Context, plan string, at time.Time, settlement store.Settlement) error {
	s.leases.settle(settlement.Lease, true)
	if err := s.makeDurable(ctx, store.Arrival{Plan: plan, At: at, Entry: settlement}); err != nil {
		s.leases.settle(settlement.Lease, false)
		return err
	}
	return s.backlog.Acknowledge(ctx)
}

// makeDurable checks an arrival (such as a report) and blocks until it is safe in the journal. It returns ErrBusy if
// that takes longer than Config.Committer.Patience.
func (s *Store) makeDurable(ctx context.Context, a store.Arrival) error {
	a = truncateTime(a)
	if err := a.Check(); err != nil {
		return err
	}
	encoded, err := encodeArrival(a)
	if err != nil {
		return err
	}
	return s.committer.Record(ctx, recorded{own(a, encoded), encoded})
}

// probe is how many journal bytes Ready reserves to find out whether the disk has space.
const probe = 64 << 10

// commit writes a group of arrivals to the journal, with one sync. results has one element per arrival: nil means that
// it is safe on disk. Only the committer's goroutine calls commit.
func (s *Store) commit(group []recorded, results []error) {
	s.waitRetry(s.commits.last)
	begin := time.Now()
	if s.Err() != nil {
		setAll(results, s.closedError())
		return
	}
	arrivals, bytes := make([]store.Arrival, 0, len(group)), 0
	for _, r := range group {
		if r.encoded != nil {
			arrivals = append(arrivals, r.arrival)
			bytes += r.bytes()
		}
	}
	if err := s.dir.check(begin, s.journal); err != nil {
		s.reportFailure("commit", err)
		setAll(results, s.closedError())
		return
	}
	if len(arrivals) == 0 {
		if err := s.journal.Reserve(probe); err != nil {
			s.failGroup(results, err)
			return
		}
	}
	s.buf = encodeFrame(s.buf, group)
	p, buf, err := s.journal.Append(s.buf, len(arrivals))
	if s.buf = buf; cap(s.buf) > 4*s.config.Committer.Bytes {
		s.buf = nil
	}
	if o := s.config.Observer.Committed; o != nil {
		o(len(arrivals), len(buf), time.Since(begin), err)
	}
	if err != nil {
		s.failGroup(results, err)
		return
	}
	s.failing.Store(false)
	s.commits = incident{}
	s.backlog.Add(p, arrivals, bytes)
}

// failGroup sets the results of a group of arrivals that could not be written to the journal. It reports a fatal error
// to the Observer at once, and any other error at most once a minute.
func (s *Store) failGroup(results []error, err error) {
	s.failing.Store(true)
	if s.commits.shouldReport(time.Now()) || disk.IsFatal(err) {
		s.reportFailure("commit", err)
	}
	setAll(results, s.commitError(err))
}

// commitError returns the error of Record or Erase after a journal write failed with err: ErrBusy if the journal is
// full, or ErrClosed if the store is also closing. Otherwise it is err, which may be nil.
func (s *Store) commitError(err error) error {
	switch {
	case !errors.Is(err, journal.ErrFull):
		return err
	case s.closed.Load():
		return s.closedError()
	}
	return store.ErrBusy
}

func setAll(results []error, err error) {
	for i := range results {
		results[i] = err
	}
}

// Done implements store.Store: it returns a channel that is closed when the store ends itself after a fatal error.
func (s *Store) Done() <-chan struct{} { return s.failed }

// Err returns the fatal error that ended the store, or nil if the store has not ended. It does not block.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.err
	default:
		return nil
	}
}

// closedError returns ErrClosed. If a fatal error ended the store, the result wraps that error as well.
func (s *Store) closedError() error {
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrClosed, err)
	}
	return store.ErrClosed
}

// Ready returns nil if the store accepts arrivals (such as reports), and ErrClosed after Close. If the latest journal
// write failed, Ready tries another, which may block, and returns its error.
func (s *Store) Ready(ctx context.Context) error {
	switch {
	case s.closed.Load():
		return s.closedError()
	case s.failing.Load():
		return s.committer.Record(ctx, recorded{})
	}
	return nil
}

// Close writes queued arrivals to the journal, applies them to the database and unlocks the directory. If the journal
// is full, it waits at most 5 seconds (closeGrace) for space. Further calls return the first result.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		stuck := time.AfterFunc(closeGrace, s.journal.Stop)
		s.committer.Close()
		stuck.Stop()
		s.backlog.End()
		s.folding.Wait()
		s.journal.Stop() // Erase may wait for frames that the fold has given up
		s.erasing <- struct{}{}
		defer func() { <-s.erasing }()
		s.reportUnmended()
		s.writing.Lock()
		defer s.writing.Unlock()
		s.closeErr = errors.Join(s.db.Close(), s.journal.Close(), s.dir.release())
		s.decoder.Close() // only now: reads use it, and db.Close waits for them
	})
	return s.closeErr
}
