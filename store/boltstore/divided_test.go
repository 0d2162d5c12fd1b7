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
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// dividing returns arguments for a child that makes it record full reports with so many recipients, and fold them in
// steps of 1000 recipients.
func dividing(recipients int) []string {
	return []string{"-recipients", fmt.Sprint(recipients), "-step-bytes", "1"}
}

// openDivided opens a child's store, also with small steps, and compares it with the child's output.
func openDivided(t *testing.T, path string, w *transcript, why string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path, Segment: smallSegment, StepBytes: 1, Policies: testPolicy})
	require.NoError(t, err, why)
	err = attempt(func(t2 require.TestingT) { auditStore(t.Context(), t2, s, w) })
	require.NoError(t, err, "%s; the child's output:\n%s", why, strings.Join(w.lines, "\n"))
	require.NoError(t, s.Close())
}

// inside reports whether the last step of a store ended inside a report.
func inside(t *testing.T, path string) (inside bool) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		reached, err := schema.ReadPosition(tx)
		inside = reached.Within.Recipients > 0
		return err
	}))
	require.NoError(t, db.Close())
	return inside
}

// A process that is killed between two parts of a report continues after the restart: no recipient is lost or counted
// twice.
func TestKillInsideAReport(t *testing.T) {
	t.Parallel()
	child := buildChild(t, "")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	killedInside := 0
	for run := range 40 * long(10) {
		path, w := filepath.Join(memory(t), "store"), newTranscript()
		for generation := 1; generation <= 2; generation++ {
			c := startChild(t, append([]string{
				child, "-path", path, "-seed", fmt.Sprint(run), "-generation", fmt.Sprint(generation),
				"-reports", "200",
			}, dividing(12_000)...)...)
			for lines := 1 + random.IntN(200); lines > 0 && c.lines.Scan(); lines-- {
				w.add(c.lines.Text())
			}
			require.NoError(t, c.cmd.Process.Kill())
			for c.lines.Scan() {
				w.add(c.lines.Text())
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
	t.Logf("killed inside a report %d times", killedInside)
}

// The same holds for a power loss at any moment.
func TestPowerLossInsideAReport(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	r := run{base: memory(t)}
	args := append([]string{"-reports", fmt.Sprint(20 * long(3))}, dividing(3200)...)
	require.Zero(t, r.trace(t, buildChild(t, ""), nil, args...))
	seed := uint64(time.Now().UnixNano())
	p, err := r.losePower(t, seed, 60*long(20))
	require.NoError(t, err, "seed %d", seed)
	t.Log(p)
}

// fullOf returns a full report with so many recipients, all delivered.
func fullOf(recipients int) store.Arrival {
	numbers := make([]string, recipients)
	for n := range numbers {
		numbers[n] = fmt.Sprintf("%q", fmt.Sprint(447700000000+n))
	}
	raw := fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":"full","total_message_count":%d,`+
		`"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":[%s]}]}`,
		recipients, recipients, strings.Join(numbers, ","))
	c, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return store.Arrival{Plan: "plan", At: noon, Entry: store.Report{Report: c.Report, Raw: raw}}
}

// startAllowance is how many rows may be acknowledged before they are folded, as long as no step was measured.
const startAllowance = 16_000

// Record acknowledges a large report only when at most allowance rows of it are unfolded, so that a later read waits
// briefly.
func TestLargeReportIsAcknowledgedWhenNearlyFolded(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), StepBytes: 16 << 20, BacklogBytes: 1})
	const recipients = 60_001
	for i := range 2 { // the second is a duplicate
		require.NoError(t, s.Record(t.Context(), fullOf(recipients)))
		unfolded, allowance := s.backlog.Lag()
		require.LessOrEqual(t, unfolded, allowance)
		if i == 0 { // later the allowance follows the measured speed, which may allow a whole report
			require.Less(t, unfolded, uint64(recipients), "nothing is folded")
		}
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
	require.Equal(t, log.Items[0].Raw, r.Bodies[0], "the log has the report once, in the chunk of the first step")
}

// The caller cancels Record while it waits for the fold.
func TestReportIsKeptAfterItsCallerCancels(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	s.writing.Lock() // stops the fold
	ctx, cancel := context.WithCancelCause(t.Context())
	recorded := make(chan error, 1)
	go func() { recorded <- s.Record(ctx, fullOf(2*startAllowance)) }()
	require.Eventually(t, func() bool { return s.Gauges().Unfolded == 1 }, time.Minute, time.Millisecond)
	cancel(errors.New("the caller canceled"))
	require.EqualError(t, <-recorded, "the caller canceled")
	s.writing.Unlock()
	require.NoError(t, s.Record(t.Context(), delivered("full", "447799999999")))
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "full"})
	require.NoError(t, err)
	require.Equal(t, 2*startAllowance+1, b.States[dlr.Delivered])
}
