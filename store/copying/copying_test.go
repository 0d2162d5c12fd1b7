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
)

// A store that was copied to PostgreSQL and back returns the same data from every read and the same claims.
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

var errImport = errors.New("import failed")

// failingSink is a sink whose Import fails after some pieces, either before or after it stores the piece.
type failingSink struct {
	copying.Sink
	left    int
	applied bool
}

func (f *failingSink) Import(ctx context.Context, p copying.Piece, m copying.Mark) error {
	if f.left--; f.left >= 0 {
		return f.Sink.Import(ctx, p, m)
	}
	if f.applied {
		return errors.Join(errImport, f.Sink.Import(ctx, p, m))
	}
	return errImport
}

// The dialects that restrict a statement to one slot export everything too.
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

// A copy resumes in both directions after a failed Import, whether the piece was stored or not, and after kill -9.
func TestResume(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation; other tests copy with the race detector")
	}
	t.Parallel()
	first, there, back := newFolder(t), newDatabase(t), newFolder(t)
	fillLarge(t, first)
	want := copied(t, first, newFolder(t)).Sums
	for _, way := range [][2]place{{first, there}, {there, back}} {
		from, to := way[0], way[1]
		for _, interrupted := range []func(){
			func() { fail(t, from, to, failingSink{}) },
			func() { fail(t, from, to, failingSink{applied: true}) },
			func() { kill(t, from, to, 1) },
			func() { fail(t, from, to, failingSink{left: 1}) },
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

// fail runs a copy until the sink fails.
func fail(t *testing.T, from, to place, f failingSink) {
	t.Helper()
	source, sink := from.source(t), to.sink(t)
	f.Sink = sink
	_, err := copying.Run(t.Context(), source, &f, func(copying.Progress) {})
	require.ErrorIs(t, err, errImport)
	require.NoError(t, errors.Join(source.Close(), sink.Close()))
}

// fillLarge fills a store with at least four pieces. One piece ends among the recipients of a batch, because they
// exceed the piece's entries; two end within a batch's report log, because its reports exceed the piece's bytes.
func fillLarge(t testing.TB, p place) {
	t.Helper()
	recipients := 4500 // per batch
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
			"type": dlr.BatchSMS, "batch_id": fmt.Sprint("large ", i), "total_message_count": len(numbers),
			"statuses": []map[string]any{{"status": dlr.Delivered, "code": 0, "count": len(numbers), "recipients": numbers}},
		}))
	}
	for i := range 6 {
		large := parsed(t, map[string]any{
			"type": dlr.RecipientSMS, "batch_id": "large 4", "recipient": "447700900999",
			"status": dlr.Queued, "code": 400 + i, "at": h.now,
		})
		large.Raw = append(large.Raw, bytes.Repeat([]byte(" "), 3<<20)...)
		h.record("plan", large)
	}
	require.NoError(t, s.Close())
}

// requireUnfinished requires that opening the store returns ErrUnfinished.
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

// The mark and the contents of a destination decide whether a copy may start.
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
			_, err := copying.Run(t.Context(), source, &failingSink{Sink: sink}, func(copying.Progress) {})
			require.ErrorIs(t, err, errImport)
			require.NoError(t, errors.Join(source.Close(), sink.Close()))

			refused(t, other, to, copying.ErrOtherSource)
			s := first.open(t) // the source changes
			h := history{t: t, s: s, now: noon}
			h.record("plan", store.Confirmation{BatchID: "a", WholeBatch: true})
			require.NoError(t, s.Close())
			require.ErrorContains(t, refused(t, first, to, copying.ErrOtherSource), "it has changed since the copy started")
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

// changedSink is a sink whose contents change after the last piece.
type changedSink struct {
	copying.Sink
	change func()
}

func (s *changedSink) Import(ctx context.Context, p copying.Piece, m copying.Mark) error {
	err := s.Sink.Import(ctx, p, m)
	if m.Whole {
		s.change()
	}
	return err
}

func TestVerifyFindsEveryDifference(t *testing.T) {
	t.Parallel()
	first := newFolder(t)
	s := first.open(t)
	live(t, s, 20)
	require.NoError(t, s.Close())
	for kind, statement := range map[copying.Kind]string{
		copying.Batches: `DELETE FROM batch WHERE (plan, batch_id) = (SELECT plan, batch_id FROM batch LIMIT 1)`,
		copying.Recipients: `UPDATE recipient r SET row = o.row
			FROM (SELECT row FROM recipient ORDER BY digits DESC LIMIT 1) o WHERE r.row <> o.row`,
		copying.Reports: `UPDATE report_log SET raw = raw || ' ' WHERE place = 0`,
		copying.Minutes: `UPDATE minute_count SET messages = messages + 1
			WHERE messages = (SELECT max(messages) FROM minute_count)`,
		copying.Quarantine: `DELETE FROM quarantine WHERE id = (SELECT max(id) FROM quarantine)`,
		copying.Inbound:    `UPDATE inbound SET raw = raw || ' ' WHERE id = (SELECT max(id) FROM inbound)`,
		copying.Totals:     `UPDATE total SET sent = sent + 1 WHERE plan = 'p'`,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			first, to := first.twin(t), newDatabase(t)
			source, sink := first.source(t), to.sink(t)
			_, err := copying.Run(t.Context(), source, &changedSink{sink, func() {
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

// Folding what a crash left in the journal needs the policies of the plans; without them OpenSource fails.
func TestUnfoldedJournalNeedsPolicies(t *testing.T) {
	t.Parallel()
	first := newFolder(t)
	s := first.open(t)
	live(t, s, 5)
	crashed := first.twin(t)
	late := store.Arrival{Plan: "off", At: noon, Entry: store.Confirmation{BatchID: "late", WholeBatch: true}}
	require.NoError(t, s.Record(t.Context(), late))
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
	require.Equal(t, store.FeedbackNone, b.WholeBatch)
}

func TestMissingSource(t *testing.T) {
	p := newFolder(t)
	_, err := boltstore.OpenSource(t.Context(), boltstore.Config{Path: p.path})
	require.ErrorContains(t, err, "there is no store in "+p.path)
	require.NoDirExists(t, p.path)
}
