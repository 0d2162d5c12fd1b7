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

// run is the traced system calls of one or more processes that used one store in turn.
type run struct {
	base   string
	traces [][]event // by process
	failed bool      // each process but the last ends because of a disk error
	// dense is the number of first events of each process after which a power loss is always tried. In them the
	// process creates or opens its files.
	dense int
	// check compares an open store with the child's output up to the power loss; nil means auditStore.
	check func(t require.TestingT, s *Store, path string, w *transcript)
}

// trace runs the child on the store in base under strace and returns its exit code.
func (r *run) trace(t *testing.T, child string, strace []string, args ...string) (exit int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	command := append([]string{
		"strace", "-f", "-y", "-xx", "-s", "4194304", "-o", log, "-e", "signal=none", "-e", "trace=" + tracedCalls,
	}, strace...)
	command = append(command, child,
		"-path", filepath.Join(r.base, "store"), "-generation", fmt.Sprint(len(r.traces)+1))
	_, exit = startChild(t, append(command, args...)...).wait()
	r.traces = append(r.traces, readTrace(t, log))
	return exit
}

// powerLosses counts what losePower did with a run.
type powerLosses struct {
	writes, syncs, losses, images, acknowledged, forgotten int
}

func (p powerLosses) String() string {
	return fmt.Sprintf("%d writes, %d syncs, %d arrivals acknowledged, %d losses, of which %d images were opened",
		p.writes, p.syncs, p.acknowledged, p.losses, p.images)
}

// losePower replays a run and simulates about wanted power losses, spread over all its events. Each possible content
// of the disk must open as a store with every acknowledged arrival; losePower returns the first failure. Images
// repeat: an image is opened again only after the child has printed a further line.
func (r *run) losePower(t *testing.T, seed uint64, wanted int) (p powerLosses, err error) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	moments := 0
	for _, trace := range r.traces {
		moments += len(trace)
	}
	d, w := newDisk(r.base), newTranscript()
	dir := filepath.Join(memory(t), "image")
	opened, lines := make(map[[sha256.Size]byte]bool), 0
	for generation, trace := range r.traces {
		p.forgotten += d.nextProcess(r.failed)
		for i, e := range trace {
			d.replay(t, e, w)
			if !e.begins {
				p.count(e.call)
				continue // the next begin event shows the same state
			}
			if i > r.dense && random.IntN(moments) >= wanted*2/5 {
				continue
			}
			if len(w.lines) > lines {
				lines = len(w.lines)
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
				why := fmt.Sprintf("power loss in process %d at the begin of event %d of %d (%s), "+
					"%s of the unsynced changes is left",
					generation+1, i, len(trace), e.name, l.name)
				image.write(t, dir)
				if err := attempt(func(t2 require.TestingT) { r.checkImage(t, t2, dir, w) }); err != nil {
					p.acknowledged = len(w.done)
					return p, fmt.Errorf("%s; %w; the child's output:\n%s", why, err, strings.Join(w.lines, "\n"))
				}
				require.NoError(t, os.RemoveAll(dir))
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

// checkImage opens the store in an image and compares it with the child's output up to the power loss.
func (r *run) checkImage(t *testing.T, t2 require.TestingT, image string, w *transcript) {
	path := filepath.Join(image, "store")
	s, err := Open(t.Context(), Config{
		Path: path, Segment: 16 << 10, JournalLimit: 128 << 10, Policies: testPolicy,
	})
	require.NoError(t2, err)
	defer func() { require.NoError(t2, s.Close()) }()
	if r.check != nil {
		r.check(t2, s, path, w)
		return
	}
	auditStore(t.Context(), t2, s, w)
}

func TestPowerLoss(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	r := run{base: memory(t), dense: 100}
	child := buildChild(t, "")
	slow := []string{"-e", "inject=fdatasync:delay_enter=1000"} // so that more calls overlap
	require.Zero(t, r.trace(t, child, slow, "-reports", fmt.Sprint(60*long(5)), "-abandon"))
	require.Zero(t, r.trace(t, child, nil, "-reports", fmt.Sprint(40*long(5))))
	seed := uint64(time.Now().UnixNano())
	p, err := r.losePower(t, seed, 400*long(30))
	require.NoError(t, err, "seed %d", seed)
	require.Greater(t, p.acknowledged, 100)
	t.Log(p)
}

// After a failed sync the kernel may drop unwritten pages although the next process still reads them. Whatever that
// process relies on must be on disk. Slow syncs make the first process end during some of them.
func TestPowerLossAfterAFailedSync(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	seed := uint64(time.Now().UnixNano())
	var all powerLosses
	for n := range 3 * long(30) {
		r := run{base: memory(t), dense: 70, failed: true}
		slow := []string{"-e", "inject=fdatasync:delay_enter=10000"}
		require.Zero(t, r.trace(t, child, slow, "-exit-after", fmt.Sprint(5+7*n%40), "-seed", fmt.Sprint(n)))
		require.Zero(t, r.trace(t, child, nil, "-reports", "10"))
		p, err := r.losePower(t, seed, 5*long(10))
		require.NoError(t, err, "seed %d, run %d", seed, n)
		all.images, all.forgotten = all.images+p.images, all.forgotten+p.forgotten
	}
	require.Positive(t, all.forgotten)
	t.Logf("%d images opened, %d writes forgotten", all.images, all.forgotten)
}

// A process that is killed may leave file names that are not durable, which the next process uses.
func TestPowerLossAfterAKill(t *testing.T) {
	requireStrace(t)
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

// This test shows that TestPowerLoss can fail: a store that skips every second sync of its journal loses reports.
func TestPowerLossFindsAMissingSync(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	r := run{base: memory(t), dense: 120}
	require.Zero(t, r.trace(t, buildChild(t, "skipsync"), nil, "-reports", "60", "-abandon"))
	p, err := r.losePower(t, 1, 1000)
	require.Error(t, err, "nothing was lost: %s", p)
	require.Regexp(t, "acknowledged|were not copied at the same time|is damaged or missing", err.Error())
	t.Logf("found after %s: %.300s", p, err)
}
