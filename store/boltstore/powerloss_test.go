package boltstore

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// run is a store's life as it was traced, over one or more processes.
type run struct {
	base   string
	traces [][]event // of each process
	failed bool      // each process but the last ends because the disk fails it
	// delicate is how many events of each process, in which it makes its files or finds them again, are all tried.
	delicate int
}

// trace runs the child on the store in base under strace.
func (r *run) trace(t *testing.T, child string, strace []string, args ...string) (exit int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	command := append([]string{"strace", "-f", "-y", "-xx", "-s", "4194304", "-o", log, "-e", "signal=none", "-e", "trace=" + tracedCalls}, strace...)
	command = append(command, child, "-path", filepath.Join(r.base, "store"), "-generation", fmt.Sprint(len(r.traces)+1))
	_, exit = startChild(t, append(command, args...)...).said()
	r.traces = append(r.traces, readTrace(t, log))
	return exit
}

// powerLosses counts what was done to a run.
type powerLosses struct {
	writes, syncs, losses, images, acknowledged, forgotten int
}

func (p powerLosses) String() string {
	return fmt.Sprintf("%d writes, %d syncs, %d arrivals acknowledged, %d losses, of which %d images were opened",
		p.writes, p.syncs, p.acknowledged, p.losses, p.images)
}

// losePower replays a run and lets the power fail at moments all over it, about as many times as wanted says: around
// syncs, when something was just acknowledged, and in between. Each image that may then be on disk must open and have
// everything. It returns the first that does not. Many losses leave the same: as long as the child says nothing more, an
// image is opened once.
func (r *run) losePower(t *testing.T, seed uint64, wanted int) (p powerLosses, err error) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	moments := 0
	for _, trace := range r.traces {
		moments += len(trace)
	}
	d, w := newDisk(r.base), newWitness()
	folder := filepath.Join(memory(t), "image")
	opened, said := make(map[[sha256.Size]byte]bool), 0
	for generation, trace := range r.traces {
		p.forgotten += d.nextProcess(r.failed)
		for i, e := range trace {
			d.replay(t, e, w)
			if !e.begins {
				p.count(e.call)
				continue // nothing was lost or said since it began but what the next event shows
			}
			if i > r.delicate && random.IntN(moments) >= wanted*2/5 {
				continue
			}
			if len(w.lines) > said {
				said = len(w.lines)
				clear(opened)
			}
			for _, l := range losses(random) {
				p.losses++
				image := d.image(l)
				sum := image.sum()
				if opened[sum] {
					continue
				}
				opened[sum] = true
				p.images++
				why := fmt.Sprintf("power loss in process %d as event %d of %d begins (%s), of what was not synced %s is left",
					generation+1, i, len(trace), e.name, l.name)
				image.write(t, folder)
				if err := attempt(func(t2 require.TestingT) { checkImage(t, t2, folder, w) }); err != nil {
					p.acknowledged = len(w.done)
					return p, fmt.Errorf("%s; %w; the child said:\n%s", why, err, strings.Join(w.lines, "\n"))
				}
				require.NoError(t, os.RemoveAll(folder))
			}
		}
	}
	p.acknowledged = len(w.done)
	return p, nil
}

func (p *powerLosses) count(c *call) {
	switch {
	case c.node == nil:
	case strings.Contains(c.name, "sync"):
		p.syncs++
	case strings.Contains(c.name, "write"):
		p.writes++
	}
}

// checkImage opens what a power loss left and compares it with what was said until then.
func checkImage(t *testing.T, t2 require.TestingT, image string, w *witness) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(image, "store"), Segment: 16 << 10, JournalLimit: 128 << 10, Policies: asking})
	require.NoError(t2, err)
	defer func() { require.NoError(t2, s.Close()) }()
	auditStore(t.Context(), t2, s, w)
}

func TestPowerLoss(t *testing.T) {
	needStrace(t)
	t.Parallel()
	r := run{base: memory(t), delicate: 100}
	child := buildChild(t, "")
	slow := []string{"-e", "inject=fdatasync:delay_enter=1000"} // so that more happens at the same time
	require.Zero(t, r.trace(t, child, slow, "-reports", fmt.Sprint(60*long(5)), "-abandon"))
	require.Zero(t, r.trace(t, child, nil, "-reports", fmt.Sprint(40*long(5))))
	seed := uint64(time.Now().UnixNano())
	p, err := r.losePower(t, seed, 400*long(30))
	require.NoError(t, err, "seed %d", seed)
	require.Greater(t, p.acknowledged, 100)
	t.Log(p)
}

// After a failed sync the kernel may have forgotten what it did not write, and the next process still reads it. What that
// process builds on it must be on disk. Slow syncs see to it that the first process ends in the middle of some.
func TestPowerLossAfterAFailedSync(t *testing.T) {
	needStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	seed := uint64(time.Now().UnixNano())
	var all powerLosses
	for n := range 3 * long(30) {
		r := run{base: memory(t), delicate: 70, failed: true}
		slow := []string{"-e", "inject=fdatasync:delay_enter=10000"}
		require.Zero(t, r.trace(t, child, slow, "-gone-after", fmt.Sprint(5+7*n%40), "-seed", fmt.Sprint(n)))
		require.Zero(t, r.trace(t, child, nil, "-reports", "10"))
		p, err := r.losePower(t, seed, 5*long(10))
		require.NoError(t, err, "seed %d, run %d", seed, n)
		all.images, all.forgotten = all.images+p.images, all.forgotten+p.forgotten
	}
	require.Positive(t, all.forgotten)
	t.Logf("%d images opened, %d writes forgotten", all.images, all.forgotten)
}

// What a killed process named and did not sync, the next one uses.
func TestPowerLossAfterAKill(t *testing.T) {
	needStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	seed := uint64(time.Now().UnixNano())
	var all powerLosses
	for nth := 1; nth <= 10*long(3); nth++ {
		r := run{base: memory(t)}
		r.trace(t, child, []string{"-e", fmt.Sprintf("inject=fsync:signal=KILL:when=%d", nth)}, "-reports", "30")
		require.Zero(t, r.trace(t, child, nil, "-reports", "15"))
		p, err := r.losePower(t, seed, 30*long(10))
		require.NoError(t, err, "seed %d, killed at sync %d", seed, nth)
		all.images += p.images
	}
	t.Logf("%d images opened", all.images)
}

// The proof that TestPowerLoss can fail: a store that leaves out every second sync of its journal loses reports.
func TestPowerLossFindsAMissingSync(t *testing.T) {
	needStrace(t)
	t.Parallel()
	r := run{base: memory(t), delicate: 120}
	require.Zero(t, r.trace(t, buildChild(t, "skipsync"), nil, "-reports", "60", "-abandon"))
	p, err := r.losePower(t, 1, 1000)
	require.Error(t, err, "nothing was lost: %s", p)
	require.Regexp(t, "acknowledged|was accepted|was buried|were not copied at the same time|is damaged or missing", err.Error())
	t.Logf("found after %s: %.300s", p, err)
}
