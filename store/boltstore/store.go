package boltstore

import (
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
)

// Config says where and how a Store keeps things. Only Path is needed.
type Config struct {
	Path     string         // the folder; made when it is not there
	Policies store.Policies // how plans earn feedback; nil gives every plan the zero Policy
	Observer store.Observer

	Committer    store.CommitterConfig
	Segment      int           // bytes of a journal segment; default 8 MiB
	JournalLimit int64         // bytes of all segments; default 64 MiB. What is not folded yet must fit
	FoldEvery    time.Duration // the longest an arrival waits to be folded under load; default 2 s
	LockTimeout  time.Duration // how long Open waits for another process to let go; default 1 s

	BacklogBytes int // most memory for arrivals that are not folded; default 32 MiB. The others are read back from the journal
	StepBytes    int // most memory for a step of the fold, beside a frame; default 64 MiB

	QuarantineEntries int // most entries kept, default 10 000
	QuarantineBytes   int // most bytes kept, default 64 MiB

	settled bool  // refuse a store whose journal is not folded
	verify  int64 // a start verifies a database of up to so many bytes; default verifySize
}

func (c Config) withDefaults() Config {
	if c.Policies == nil {
		c.Policies = func(string) store.Policy { return store.Policy{} }
	}
	if c.Committer.Bytes <= 0 {
		c.Committer.Bytes = 2 << 20
	}
	if c.Committer.Patience <= 0 {
		c.Committer.Patience = 3 * time.Second
	}
	if c.Segment <= 0 {
		c.Segment = 8 << 20
	}
	if c.JournalLimit <= 0 {
		c.JournalLimit = 64 << 20
	}
	if c.FoldEvery <= 0 {
		c.FoldEvery = 2 * time.Second
	}
	if c.BacklogBytes <= 0 {
		c.BacklogBytes = 32 << 20
	}
	if c.StepBytes <= 0 {
		c.StepBytes = 64 << 20
	}
	if c.verify == 0 {
		c.verify = verifySize
	}
	if c.LockTimeout <= 0 {
		c.LockTimeout = time.Second
	}
	if c.QuarantineEntries <= 0 {
		c.QuarantineEntries = 10_000
	}
	if c.QuarantineBytes <= 0 {
		c.QuarantineBytes = 64 << 20
	}
	return c
}

// Store keeps everything in one folder. See the package's documentation.
type Store struct {
	config    Config
	db        *bolt.DB
	journal   *journal
	committer *store.Committer[recorded]
	buf       []byte   // of the committer's goroutine
	commits   incident // of the committer's goroutine
	folder    *folder
	backlog   *backlog
	measured  measured // of the fold's goroutine
	folding   sync.WaitGroup
	leases    leases
	decoder   *zstd.Decoder

	// writing is held by whoever writes to db outside of reads: a step of the fold or of expiry.
	writing    sync.Mutex
	compressor *compressor // guarded by writing
	totals     totals      // guarded by writing
	last       number      // of the newest batch; guarded by writing
	quarantine quarantined // guarded by writing
	published  atomic.Pointer[published]

	told     sync.Map    // damage that was told of, by its id or text
	unmended sync.Map    // damaged rows that a read met, by their ids
	left     sync.Map    // those that only a start mends, by their ids
	doubtful bool        // the start has found damage; of the start
	loaded   bool        // the totals are read; set before any goroutine starts
	failing  atomic.Bool // the last commit failed
	failure  sync.Once
	failed   chan struct{}
	err      error // set before failed is closed
	closing  sync.Once
	closed   atomic.Bool
	closeErr error
}

var _ store.Store = (*Store)(nil)

// closeGrace is how long Close waits for room in the journal for what is queued; without room it was never acknowledged.
const closeGrace = 5 * time.Second

// recorded is an arrival on its way into the journal; the zero value is none, for a commit that tries whether it works.
type recorded struct {
	arrival store.Arrival
	encoded []byte
}

// bytes is about how much memory r takes: its bytes, and what was read from them.
func (r recorded) bytes() int { return len(r.encoded) + 512 + 32*r.arrival.Recipients() }

// Open opens the store in the folder, or makes one, and folds what a crash left in its journal. A folder that another
// process has open, or that is damaged or of a newer format, is an error. ctx bounds nothing but the start.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if c.Path == "" {
		return nil, errors.New("open store: no path given")
	}
	if err := makeFolder(c.Path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{config: c, measured: newMeasured(), failed: make(chan struct{})}
	s.backlog = newBacklog(c.BacklogBytes, s.readBack)
	s.leases.held = make(map[number]lease)
	var err error
	if s.compressor, err = newCompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.decoder, err = newDecompressor(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.folder, err = holdFolder(c.Path, c.LockTimeout); err != nil {
		return nil, err
	}
	if s.db, err = openDatabase(filepath.Join(c.Path, "dlrloop.db"), c.LockTimeout); err != nil {
		return nil, errors.Join(err, s.folder.release())
	}
	if err := s.folder.watch(s.db.Path()); err != nil {
		return nil, errors.Join(err, s.db.Close(), s.folder.release())
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close(), s.folder.release())
	}
	return s, nil
}

// Record makes a durable. While the fold is behind it then waits, so that no read has to wait long for what is acknowledged; a
// caller whose ctx ends meanwhile gets its cause as the error, and a is kept all the same.
func (s *Store) Record(ctx context.Context, a store.Arrival) error {
	a = cut(a)
	if err := a.Check(); err != nil {
		return err
	}
	encoded, err := encodeArrival(a)
	if err != nil {
		return err
	}
	settles, isSettlement := a.News.(store.Settlement)
	if isSettlement {
		s.leases.settle(settles.Lease, true)
	}
	if err := s.committer.Record(ctx, recorded{own(a, encoded), encoded}); err != nil {
		if isSettlement {
			s.leases.settle(settles.Lease, false)
		}
		return err
	}
	return s.backlog.acknowledge(ctx)
}

// probe is the room that a try of Ready asks for: that of many small arrivals.
const probe = 64 << 10

// commit makes a group durable. It is the committer's.
func (s *Store) commit(group []recorded, results []error) {
	s.rest(s.commits.last)
	begin := time.Now()
	if s.Err() != nil {
		spread(results, s.ended())
		return
	}
	arrivals, bytes := make([]store.Arrival, 0, len(group)), 0
	for _, r := range group {
		if r.encoded != nil {
			arrivals = append(arrivals, r.arrival)
			bytes += r.bytes()
		}
	}
	if err := s.folder.check(begin, s.journal); err != nil {
		s.trouble("commit", err)
		spread(results, s.ended())
		return
	}
	if len(arrivals) == 0 {
		if err := s.journal.reserve(probe); err != nil {
			s.refuse(results, err)
			return
		}
	}
	s.buf = encodeFrame(s.buf, group)
	p, buf, err := s.journal.append(s.buf, len(arrivals))
	if s.buf = buf; cap(s.buf) > 4*s.config.Committer.Bytes {
		s.buf = nil
	}
	if o := s.config.Observer.Committed; o != nil {
		o(len(arrivals), len(buf), time.Since(begin), err)
	}
	if err != nil {
		s.refuse(results, err)
		return
	}
	s.failing.Store(false)
	s.commits = incident{}
	s.backlog.add(p, arrivals, bytes)
}

// refuse gives a group the result of a commit that failed with err.
func (s *Store) refuse(results []error, err error) {
	s.failing.Store(true)
	if s.commits.counts(time.Now()) || ends(err) {
		s.trouble("commit", err)
	}
	spread(results, s.refusal(err))
}

// refusal is what callers are told of a commit that failed with err.
func (s *Store) refusal(err error) error {
	switch {
	case !errors.Is(err, errFull):
		return err
	case s.closed.Load():
		return s.ended()
	}
	return store.ErrBusy
}

func spread(results []error, err error) {
	for i := range results {
		results[i] = err
	}
}

// trouble tells of a failure and ends the store when nobody can know any more what is on disk.
func (s *Store) trouble(operation string, err error) {
	if o := s.config.Observer.Failed; o != nil {
		o(operation, err)
	}
	if ends(err) {
		s.failure.Do(func() {
			s.err = err
			s.closed.Store(true)
			s.backlog.end()
			s.journal.stop()
			close(s.failed)
		})
	}
}

// Done is closed when the store has ended itself.
func (s *Store) Done() <-chan struct{} { return s.failed }

// Err says why the store has ended itself; nil as long as it has not.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.err
	default:
		return nil
	}
}

// ended is the error of calls that come too late.
func (s *Store) ended() error {
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrClosed, err)
	}
	return store.ErrClosed
}

// Ready returns nil while arrivals are accepted. After a commit that failed it tries one.
func (s *Store) Ready(ctx context.Context) error {
	switch {
	case s.closed.Load():
		return s.ended()
	case s.failing.Load():
		return s.committer.Record(ctx, recorded{})
	}
	return nil
}

// Close makes durable what is queued, folds it, and releases the folder.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		stuck := time.AfterFunc(closeGrace, s.journal.stop)
		s.committer.Close()
		stuck.Stop()
		s.backlog.end()
		s.folding.Wait()
		s.tellUnmended()
		s.writing.Lock()
		defer s.writing.Unlock()
		s.closeErr = errors.Join(s.db.Close(), s.journal.close(), s.folder.release())
		s.decoder.Close() // reads use it, and the database has waited for them
	})
	return s.closeErr
}
