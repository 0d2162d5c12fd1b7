package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/copying"
)

func TestParseLocation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("postgres://ada:s3cret@db.example:5433/dlr?sslmode=require\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for given, want := range map[string]location{
		"bolt:data":                        {dir: "data"},
		"bolt:/var/lib/a:b":                {dir: "/var/lib/a:b"},
		"postgres:@" + file:                {url: "postgres://ada:s3cret@db.example:5433/dlr?sslmode=require"},
		"postgres://db.example/dlr":        {url: "postgres://db.example/dlr"},
		"postgres:postgres://db/dlr":       {url: "postgres://db/dlr"},
		"postgres:host=db.example user=me": {url: "host=db.example user=me"},
	} {
		got, err := parseLocation("--from", given)
		require.NoError(t, err, given)
		require.Equal(t, want, got)
	}
	for _, given := range []string{
		"", "data", "bolt:", "postgres:", "mysql:x", "postgres:@" + empty,
		"postgres:@" + file + "x",
	} {
		_, err := parseLocation("--from", given)
		require.ErrorAs(t, err, new(usageError), given)
		require.ErrorContains(t, err, "--from")
	}
	require.Equal(t, "postgres://db.example:5433/dlr",
		location{url: "postgres://ada:s3cret@db.example:5433/dlr?sslmode=require"}.String())
	require.Equal(t, "the database", location{url: "host=db password=s3cret"}.String())
	require.Equal(t, "bolt:data", location{dir: "data"}.String())
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out, true)
		total := copying.Size{Batches: 100, Recipients: 900}
		b.show(copying.Progress{Phase: copying.Copying, Total: total})
		time.Sleep(2 * time.Second)
		b.show(copying.Progress{
			Phase: copying.Copying, Done: copying.Size{Batches: 25, Recipients: 225, Bytes: 1_500_000},
			Total: total,
		})
		// too soon to be printed
		b.show(copying.Progress{Phase: copying.Copying, Done: copying.Size{Batches: 26, Recipients: 226}, Total: total})
		require.Equal(t, "\r\x1b[Kcopying   [######------------------]  25%  25 of 100 batches, 225 recipients, 1.5 "+
			"MB of reports, 125/s, 6s left", out.String())
		out.Reset()
		b.show(copying.Progress{Phase: copying.Verifying, Total: total})
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), "26 of 100 batches")
		b.end()
		require.True(t, strings.HasSuffix(out.String(), "0 recipients, 0.0 MB of reports\n"), out.String())
	})
}

func TestProgressInAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBar(&out, false)
		for i := range 250 {
			b.show(copying.Progress{Phase: copying.Copying, Done: copying.Size{Batches: i}, Total: copying.Size{Batches: 250}})
			time.Sleep(100 * time.Millisecond)
		}
		b.end()
		require.Equal(t, "copying     0%  0 of 250 batches, 0 recipients, 0.0 MB of reports\n"+
			"copying    40%  100 of 250 batches, 0 recipients, 0.0 MB of reports, 10/s, 15s left\n"+
			"copying    80%  200 of 250 batches, 0 recipients, 0.0 MB of reports, 10/s, 5s left\n", out.String())
	})
}

// TestAnInterruptedCopyContinues checks that the error says how to continue, and that a second run completes the copy.
func TestACopyIsRefusedWhileEventsWait(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	s, err := boltstore.Open(t.Context(), boltstore.Config{Path: from})
	require.NoError(t, err)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Put: []store.DeferredEvent{
		{ID: 1, Event: store.Event{Type: store.InboundReceived}},
	}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	var stdout, stderr bytes.Buffer
	args := []string{"copy", "--from", "bolt:" + from, "--to", "bolt:" + filepath.Join(dir, "to")}
	require.Equal(t, exitFailed, run(t.Context(), args, &stdout, &stderr))
	require.Contains(t, stderr.String(), "destination app (0 waiting, 1 deferred, 0 dead)\nWhat to do: start dlrloop")
	require.NoDirExists(t, filepath.Join(dir, "to"))
}

func TestAnInterruptedCopyContinues(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	s, err := boltstore.Open(t.Context(), boltstore.Config{Path: from})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	args := []string{"copy", "--from", "bolt:" + from, "--to", "bolt:" + filepath.Join(dir, "to")}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, run(ctx, args, &stdout, &stderr))
	require.Empty(t, stdout.String())
	require.Equal(t, "dlrloop: interrupted; the destination keeps what was copied so far\n"+
		"What to do: run the same command again: it continues where it stopped\n", stderr.String())
	require.Zero(t, run(t.Context(), args, &stdout, &stderr))
	require.Contains(t, stdout.String(), "copied and verified in ")
}
