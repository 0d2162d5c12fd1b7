package boltstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// dividing are a child's arguments with which full reports of so many recipients are folded in parts, a transaction for each thousand recipients.
func dividing(recipients int) []string {
	return []string{"-recipients", fmt.Sprint(recipients), "-step-bytes", "1"}
}

// openDivided opens what a child left, also in small steps, and compares it with what the child said.
func openDivided(t *testing.T, path string, w *witness, why string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path, Segment: smallSegment, StepBytes: 1, Policies: asking})
	require.NoError(t, err, why)
	err = attempt(func(t2 require.TestingT) { auditStore(t.Context(), t2, s, w) })
	require.NoError(t, err, "%s; the child said:\n%s", why, strings.Join(w.lines, "\n"))
	require.NoError(t, s.Close())
}

// inside reports whether a store's last step ended inside a frame.
func inside(t *testing.T, path string) (inside bool) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		reached, err := positionIn(tx)
		inside = reached.within.recipients > 0
		return err
	}))
	require.NoError(t, db.Close())
	return inside
}

// A process that dies between the parts of a report goes on where it was: nothing is lost, and nothing counts twice.
func TestKilledInsideAReport(t *testing.T) {
	t.Parallel()
	child := buildChild(t, "")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	killedInside := 0
	for run := range 40 * long(10) {
		path, w := filepath.Join(memory(t), "store"), newWitness()
		for generation := 1; generation <= 2; generation++ {
			c := startChild(t, append([]string{
				child, "-path", path, "-seed", fmt.Sprint(run), "-generation", fmt.Sprint(generation), "-reports", "200",
			}, dividing(12_000)...)...)
			for lines := 1 + random.IntN(200); lines > 0 && c.lines.Scan(); lines-- {
				w.hear(c.lines.Text())
			}
			require.NoError(t, c.cmd.Process.Kill())
			for c.lines.Scan() {
				w.hear(c.lines.Text())
			}
			_ = c.cmd.Wait() // it was killed
			if _, err := os.Stat(filepath.Join(path, "dlrloop.db")); err == nil && inside(t, path) {
				killedInside++
			}
		}
		openDivided(t, path, w, fmt.Sprintf("seed %d, run %d", seed, run))
		if killedInside >= 2*long(20) {
			break
		}
	}
	require.Positive(t, killedInside, "no run was killed inside a report")
	t.Logf("%d times killed inside a report", killedInside)
}

// The same holds when the power fails, at any moment.
func TestPowerLossInsideAReport(t *testing.T) {
	needStrace(t)
	t.Parallel()
	r := run{base: memory(t)}
	require.Zero(t, r.trace(t, buildChild(t, ""), nil, append([]string{"-reports", fmt.Sprint(20 * long(3))}, dividing(3200)...)...))
	seed := uint64(time.Now().UnixNano())
	p, err := r.losePower(t, seed, 60*long(20))
	require.NoError(t, err, "seed %d", seed)
	t.Log(p)
}

// fullOf is a full report of so many recipients, all delivered.
func fullOf(recipients int) store.Arrival {
	numbers := make([]string, recipients)
	for n := range numbers {
		numbers[n] = fmt.Sprintf("%q", fmt.Sprint(447700000000+n))
	}
	raw := fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":"full","total_message_count":%d,"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":[%s]}]}`,
		recipients, recipients, strings.Join(numbers, ","))
	c, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return store.Arrival{Plan: "plan", At: noon, News: store.Report{Report: c.Report, Raw: raw}}
}

// However large a report is, it is acknowledged only when little of it is left to fold: so little that a read waits for a moment.
func TestLargeReportIsAcknowledgedOnceItIsNearlyFolded(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), StepBytes: 16 << 20, BacklogBytes: 1})
	const recipients = 3*firstRate + 1
	for range 2 { // the second is a repeat
		require.NoError(t, s.Record(t.Context(), fullOf(recipients)))
		s.backlog.mu.Lock()
		added, folded, allowance := s.backlog.added, s.backlog.folded, s.backlog.allowance
		s.backlog.mu.Unlock()
		require.LessOrEqual(t, added-folded, allowance)
		require.Positive(t, folded)
	}
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, recipients, stats[0].Recipients)
	require.Equal(t, 1, stats[0].Duplicates)
	require.Zero(t, s.Gauges().Unfolded)
	log, err := s.Reports(t.Context(), store.BatchKey{Plan: "plan", BatchID: "full"}, store.Paging{})
	require.NoError(t, err)
	require.Len(t, log.Items, 1)
	r, err := s.Recipient(t.Context(), store.BatchKey{Plan: "plan", BatchID: "full"}, "447700000007")
	require.NoError(t, err)
	require.Equal(t, log.Items[0].Raw, r.Seen[0].Raw, "the log has the report once, where the first step put it")
}

// A caller that leaves while its report waits for the fold leaves a report that is kept.
func TestReportOfACallerThatLeftIsKept(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	s.writing.Lock() // nothing is folded meanwhile
	ctx, leave := context.WithCancelCause(t.Context())
	recorded := make(chan error, 1)
	go func() { recorded <- s.Record(ctx, fullOf(2*int(firstAllowance))) }()
	require.Eventually(t, func() bool { return s.Gauges().Unfolded == 1 }, time.Minute, time.Millisecond)
	leave(errors.New("the caller left"))
	require.EqualError(t, <-recorded, "the caller left")
	s.writing.Unlock()
	require.NoError(t, s.Record(t.Context(), delivered("full", "447799999999")))
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "full"})
	require.NoError(t, err)
	require.Equal(t, 2*int(firstAllowance)+1, b.States[dlr.Delivered])
}
