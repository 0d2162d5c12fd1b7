package copying_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

var postgres = pgtest.Shared{Config: pgtest.Config{Prepare: makeSchema}}

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// makeSchema leaves out what makes a database a store of its own: it is drawn when one is opened.
func makeSchema(ctx context.Context, url string) error {
	if _, _, err := pgstore.Migrate(ctx, pgstore.Config{URL: url}, false); err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, "DELETE FROM meta")
	return errors.Join(err, connection.Close(ctx))
}

// long is the form in which the stores are larger.
func long() bool { return os.Getenv("DLRLOOP_LONG") != "" }

// place is where a store can be.
type place interface {
	open(t testing.TB) store.Store
	source(t testing.TB) copying.Source
	sink(t testing.TB) copying.Sink
}

type bolt struct{ path string }

// segment is small: each opening reads a whole one.
const segment = 256 << 10

func (b bolt) config() boltstore.Config {
	return boltstore.Config{Path: b.path, Policies: policies, Segment: segment}
}

func (b bolt) open(t testing.TB) store.Store {
	t.Helper()
	s, err := boltstore.Open(t.Context(), b.config())
	require.NoError(t, err)
	return closing(t, s)
}

func (b bolt) source(t testing.TB) copying.Source {
	t.Helper()
	s, err := boltstore.OpenSource(t.Context(), boltstore.Config{Path: b.path, Segment: segment})
	require.NoError(t, err)
	return closing(t, s)
}

func (b bolt) sink(t testing.TB) copying.Sink {
	t.Helper()
	s, err := boltstore.OpenSink(boltstore.Config{Path: b.path, Segment: segment})
	require.NoError(t, err)
	return closing(t, s)
}

type database struct {
	url     string
	dialect pgstore.Dialect
}

func (d database) config() pgstore.Config {
	return pgstore.Config{URL: d.url, Policies: policies, Dialect: d.dialect}
}

func (d database) open(t testing.TB) store.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), d.config())
	require.NoError(t, err)
	return closing(t, s)
}

func (d database) source(t testing.TB) copying.Source {
	t.Helper()
	s, err := pgstore.OpenSource(t.Context(), d.config())
	require.NoError(t, err)
	return closing(t, s)
}

func (d database) sink(t testing.TB) copying.Sink {
	t.Helper()
	s, err := pgstore.OpenSink(t.Context(), d.config())
	require.NoError(t, err)
	return closing(t, s)
}

// closing is what a test may close earlier.
func closing[C interface{ Close() error }](t testing.TB, c C) C {
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newFolder(t testing.TB) bolt { return bolt{filepath.Join(t.TempDir(), "data")} }

// twin is the same store in another folder: of those that run side by side each needs its own.
func (b bolt) twin(t testing.TB) bolt {
	t.Helper()
	other := newFolder(t)
	require.NoError(t, os.CopyFS(other.path, os.DirFS(b.path)))
	return other
}

func newDatabase(t testing.TB) database { return database{url: postgres.Database(t)} }

// copied copies from one place to another.
func copied(t testing.TB, from, to place) copying.Summary {
	t.Helper()
	source, sink := from.source(t), to.sink(t)
	summary, err := copying.Run(t.Context(), source, sink, func(copying.Progress) {})
	require.NoError(t, err)
	require.NoError(t, source.Close())
	require.NoError(t, sink.Close())
	return summary
}

// A store that went to PostgreSQL and back says what it said, in both places, and a relay is owed the same.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	batches := 80 // more than a page
	if long() {
		batches = 150
	}
	first, second, third := newFolder(t), newDatabase(t), newFolder(t)
	s := first.open(t)
	h := live(t, s, batches)
	before := look(t, s)
	require.NoError(t, s.Close())
	require.NotEmpty(t, before.Dead)
	require.NotEmpty(t, before.Pending)

	sums := copied(t, first, second).Sums
	require.Equal(t, len(before.Batches), sums[copying.Batches].Count)
	s = second.open(t)
	sameView(t, before, look(t, s))
	require.NoError(t, s.Close())

	require.Equal(t, sums, copied(t, second, third).Sums)
	s = third.open(t)
	sameView(t, before, look(t, s))
	require.NoError(t, s.Close())

	s = first.open(t)
	due := owed(t, s, h.now.Add(time.Hour))
	require.NotEmpty(t, due)
	for _, p := range []place{second, third} {
		s := p.open(t)
		require.Equal(t, due, owed(t, s, h.now.Add(time.Hour)))
	}
}

var errCut = errors.New("cut")

// cut is a sink that fails after some pieces, before or after it kept the last.
type cut struct {
	copying.Sink
	left    int
	applied bool
}

func (c *cut) Import(ctx context.Context, p copying.Piece, m copying.Mark) error {
	if c.left--; c.left >= 0 {
		return c.Sink.Import(ctx, p, m)
	}
	if c.applied {
		return errors.Join(errCut, c.Sink.Import(ctx, p, m))
	}
	return errCut
}

// Where a statement has to be of one slot, everything is found all the same.
func TestEveryDialect(t *testing.T) {
	t.Parallel()
	first := newFolder(t)
	s := first.open(t)
	live(t, s, 30)
	require.NoError(t, s.Close())
	for _, dialect := range []pgstore.Dialect{pgstore.Citus, pgstore.Portable} {
		there, back := database{postgres.Database(t), dialect}, newFolder(t)
		sums := copied(t, first, there).Sums
		require.NotZero(t, sums[copying.Quarantine].Count)
		require.Equal(t, sums, copied(t, there, back).Sums)
	}
}

// A copy that fails at any piece, with the piece kept or not, or is killed, goes on where it was, in both directions.
func TestResume(t *testing.T) {
	t.Parallel()
	first, there, back := newFolder(t), newDatabase(t), newFolder(t)
	crowd(t, first)
	want := copied(t, first, newFolder(t)).Sums
	for _, way := range [][2]place{{first, there}, {there, back}} {
		from, to := way[0], way[1]
		for _, interrupted := range []func(){
			func() { fail(t, from, to, cut{}) },
			func() { fail(t, from, to, cut{applied: true}) },
			func() { kill(t, from, to, 1) },
			func() { fail(t, from, to, cut{left: 1}) },
		} {
			interrupted()
			requireUnfinished(t, to)
		}
		summary := copied(t, from, to)
		require.True(t, summary.Resumed)
		require.Less(t, summary.Moved.Recipients, want[copying.Recipients].Count)
		require.Equal(t, want, summary.Sums)
	}
}

// fail copies until a sink fails.
func fail(t *testing.T, from, to place, c cut) {
	t.Helper()
	source, sink := from.source(t), to.sink(t)
	c.Sink = sink
	_, err := copying.Run(t.Context(), source, &c, func(copying.Progress) {})
	require.ErrorIs(t, err, errCut)
	require.NoError(t, errors.Join(source.Close(), sink.Close()))
}

// crowd fills a store with four pieces: one ends amid the recipients of a batch, as there are more than it holds, two amid a batch's
// log, as its reports are larger.
func crowd(t testing.TB, p place) {
	t.Helper()
	recipients := 4500 // of each batch
	if long() {
		recipients = 9000
	}
	s := p.open(t)
	h := live(t, s, 10)
	for i := range 5 {
		numbers := make([]string, recipients)
		for k := range numbers {
			numbers[k] = fmt.Sprintf("44770%07d", 100_000*i+k)
		}
		h.record("plan", parsed(t, map[string]any{
			"type": dlr.BatchSMS, "batch_id": fmt.Sprint("crowd ", i), "total_message_count": len(numbers),
			"statuses": []map[string]any{{"status": dlr.Delivered, "code": 0, "count": len(numbers), "recipients": numbers}},
		}))
	}
	for i := range 6 {
		large := parsed(t, map[string]any{
			"type": dlr.RecipientSMS, "batch_id": "crowd 4", "recipient": "447700900999", "status": dlr.Queued, "code": 400 + i, "at": h.now,
		})
		large.Raw = append(large.Raw, bytes.Repeat([]byte(" "), 3<<20)...)
		h.record("plan", large)
	}
	require.NoError(t, s.Close())
}

// requireUnfinished tries to open a store that is being filled.
func requireUnfinished(t *testing.T, p place) {
	t.Helper()
	var err error
	switch p := p.(type) {
	case bolt:
		_, err = boltstore.Open(t.Context(), p.config())
	case database:
		_, err = pgstore.Open(t.Context(), p.config())
	}
	require.ErrorIs(t, err, copying.ErrUnfinished)
}

// What a mark says, and what is there already, decide whether a destination is taken.
func TestRefusals(t *testing.T) {
	for name, make := range map[string]func(testing.TB) place{
		"folder":   func(t testing.TB) place { return newFolder(t) },
		"database": func(t testing.TB) place { return newDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, other, to := newFolder(t), newFolder(t), make(t)
			for _, p := range []place{first, other} {
				s := p.open(t)
				live(t, s, 10)
				require.NoError(t, s.Close())
			}
			source, sink := first.source(t), to.sink(t)
			_, err := copying.Run(t.Context(), source, &cut{Sink: sink}, func(copying.Progress) {})
			require.ErrorIs(t, err, errCut)
			require.NoError(t, errors.Join(source.Close(), sink.Close()))

			refused(t, other, to, copying.ErrOtherSource)
			s := first.open(t) // somebody used it
			h := history{t: t, s: s, now: noon}
			h.record("plan", store.Confirmation{BatchID: "a", Everyone: true})
			require.NoError(t, s.Close())
			require.ErrorContains(t, refused(t, first, to, copying.ErrOtherSource), "somebody used it since")
			full := make(t)
			copied(t, first, full)
			refused(t, first, full, copying.ErrOccupied)
		})
	}
}

func refused(t *testing.T, from, to place, as error) error {
	t.Helper()
	source, sink := from.source(t), to.sink(t)
	_, err := copying.Run(t.Context(), source, sink, func(copying.Progress) {})
	require.ErrorIs(t, err, as)
	require.NoError(t, errors.Join(source.Close(), sink.Close()))
	return err
}

// spoiled is a sink in which something is changed once it is whole.
type spoiled struct {
	copying.Sink
	spoil func()
}

func (s *spoiled) Import(ctx context.Context, p copying.Piece, m copying.Mark) error {
	err := s.Sink.Import(ctx, p, m)
	if m.Whole {
		s.spoil()
	}
	return err
}

func TestWhatIsNotAsItWasIsFound(t *testing.T) {
	t.Parallel()
	first := newFolder(t)
	s := first.open(t)
	live(t, s, 20)
	require.NoError(t, s.Close())
	for kind, statement := range map[copying.Kind]string{
		copying.Batches:    `DELETE FROM batch WHERE (plan, batch_id) = (SELECT plan, batch_id FROM batch LIMIT 1)`,
		copying.Recipients: `UPDATE recipient r SET row = o.row FROM (SELECT row FROM recipient ORDER BY digits DESC LIMIT 1) o WHERE r.row <> o.row`,
		copying.Reports:    `UPDATE report_log SET raw = raw || ' ' WHERE place = 0`,
		copying.Minutes:    `UPDATE minute_count SET messages = messages + 1 WHERE messages = (SELECT max(messages) FROM minute_count)`,
		copying.Quarantine: `DELETE FROM quarantine WHERE id = (SELECT max(id) FROM quarantine)`,
		copying.Totals:     `UPDATE total SET sent = sent + 1 WHERE plan = 'p'`,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			first, to := first.twin(t), newDatabase(t)
			source, sink := first.source(t), to.sink(t)
			_, err := copying.Run(t.Context(), source, &spoiled{sink, func() {
				connection, err := pgx.Connect(t.Context(), to.url)
				require.NoError(t, err)
				_, err = connection.Exec(t.Context(), statement)
				require.NoError(t, errors.Join(err, connection.Close(t.Context())))
			}}, func(copying.Progress) {})
			mismatch, found := errors.AsType[copying.MismatchError](err)
			require.True(t, found, "%v", err)
			require.Equal(t, kind, mismatch.Kind)
			require.NoError(t, errors.Join(source.Close(), sink.Close()))
			requireUnfinished(t, to)
		})
	}
}

// What a crash left in the journal is folded by the plans' policies, or not at all.
func TestAJournalThatIsNotFoldedNeedsPolicies(t *testing.T) {
	t.Parallel()
	first := newFolder(t)
	s := first.open(t)
	live(t, s, 5)
	crashed := first.twin(t)
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "off", At: noon, News: store.Confirmation{BatchID: "late", Everyone: true}}))
	journal := filepath.Join(crashed.path, "journal")
	require.NoError(t, os.RemoveAll(journal))
	require.NoError(t, os.CopyFS(journal, os.DirFS(filepath.Join(first.path, "journal"))))

	_, err := boltstore.OpenSource(t.Context(), boltstore.Config{Path: crashed.path})
	require.ErrorIs(t, err, boltstore.ErrUnfolded)
	source, err := boltstore.OpenSource(t.Context(), crashed.config())
	require.NoError(t, err)
	require.NoError(t, source.Close())
	b, err := crashed.open(t).Batch(t.Context(), store.BatchKey{Plan: "off", BatchID: "late"})
	require.NoError(t, err)
	require.Equal(t, store.FeedbackNone, b.Everyone)
}

func TestASourceThatIsNotThere(t *testing.T) {
	p := newFolder(t)
	_, err := boltstore.OpenSource(t.Context(), boltstore.Config{Path: p.path})
	require.ErrorContains(t, err, "there is none in "+p.path)
	require.NoDirExists(t, p.path)
}
