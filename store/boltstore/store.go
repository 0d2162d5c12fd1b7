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

	QuarantineEntries int // most entries kept, default 10 000
	QuarantineBytes   int // most bytes kept, default 64 MiB

	settled bool // refuse a store whose journal is not folded
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
	buf       []byte // of the committer's goroutine
	folder    *folder
	backlog   *backlog
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
	s := &Store{config: c, backlog: newBacklog(), failed: make(chan struct{})}
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

// start reads what is in the database, folds the rest of the journal and begins to take arrivals.
func (s *Store) start(ctx context.Context) error {
	folded, err := s.load()
	if err != nil {
		return err
	}
	var tail []placed
	s.journal, tail, err = openJournal(filepath.Join(s.config.Path, "journal"), folded, s.config)
	if err != nil {
		return err
	}
	if s.config.settled && len(tail) > 0 {
		return errors.Join(fmt.Errorf("open store: %s: %w", s.config.Path, ErrUnfolded), s.journal.close())
	}
	if err := s.recover(ctx, tail); err != nil {
		return errors.Join(err, s.journal.close())
	}
	if s.journal.current == nil {
		if err := s.journal.turn(0); err != nil {
			return errors.Join(err, s.journal.close())
		}
	}
	s.publish()
	s.folding.Go(s.foldLoop)
	s.committer = store.NewCommitter(s.config.Committer, func(r recorded) int { return len(r.encoded) }, s.commit)
	return nil
}

// recover folds the frames that were acknowledged and not folded.
func (s *Store) recover(ctx context.Context, tail []placed) error {
	for _, p := range tail {
		f, err := s.journal.read(p)
		if err != nil {
			return err
		}
		arrivals, err := decodeFrame(f)
		if err != nil {
			return err
		}
		s.backlog.add(f.seq, arrivals)
	}
	s.backlog.reached(s.journal.next - 1)
	for {
		groups := s.backlog.take(maxStep)
		if len(groups) == 0 {
			return nil
		}
		if err := errors.Join(ctx.Err(), s.foldStep(groups)); err != nil {
			return fmt.Errorf("fold the journal: %w", err)
		}
	}
}

// Record makes a durable.
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
	err = s.committer.Record(ctx, recorded{own(a, encoded), encoded})
	if err != nil && isSettlement {
		s.leases.settle(settles.Lease, false)
	}
	return err
}

// probe is the room that a try of Ready asks for: that of many small arrivals.
const probe = 64 << 10

// commit makes a group durable. It is the committer's.
func (s *Store) commit(group []recorded, results []error) {
	begin := time.Now()
	if s.Err() != nil {
		spread(results, s.ended())
		return
	}
	arrivals := make([]store.Arrival, 0, len(group))
	for _, r := range group {
		if r.encoded != nil {
			arrivals = append(arrivals, r.arrival)
		}
	}
	if err := s.folder.check(begin); err != nil {
		s.trouble("commit", err)
		spread(results, s.ended())
		return
	}
	if len(arrivals) == 0 {
		if err := s.journal.reserve(probe); err != nil {
			s.trouble("commit", err)
			spread(results, s.refusal(err))
			return
		}
	}
	s.buf = encodeFrame(s.buf, group)
	seq, buf, err := s.journal.append(s.buf, len(arrivals))
	if s.buf = buf; cap(s.buf) > 4*s.config.Committer.Bytes {
		s.buf = nil
	}
	if o := s.config.Observer.Committed; o != nil {
		o(len(arrivals), len(buf), time.Since(begin), err)
	}
	s.failing.Store(err != nil)
	if err != nil {
		s.trouble("commit", err)
		spread(results, s.refusal(err))
		return
	}
	s.backlog.add(seq, arrivals)
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
		s.writing.Lock()
		defer s.writing.Unlock()
		s.closeErr = errors.Join(s.db.Close(), s.journal.close(), s.folder.release())
		s.decoder.Close() // reads use it, and the database has waited for them
	})
	return s.closeErr
}
