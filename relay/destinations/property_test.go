package destinations

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/store"
)

// act is one step of a random history: something happens, and then time passes.
type act struct {
	What    string
	Batches int // how many batches get an event each
	Seed    uint64
	Rest    time.Duration
}

// failures maps kinds of failures to how the application answers a request. accepts says that the application may have
// accepted events although dlrloop does not know it.
var failures = map[string]struct {
	answer  func(r *rand.Rand, h *hit) int
	accepts bool
}{
	"works": {func(*rand.Rand, *hit) int { return 204 }, false},
	"some": {func(r *rand.Rand, _ *hit) int {
		return []int{200, 200, 201, 400, 404, 408, 429, 500, 503, 302, 0}[r.IntN(11)]
	}, false},
	"down": {func(*rand.Rand, *hit) int { return 0 }, false},
	"slow": {func(r *rand.Rand, _ *hit) int {
		time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
		return 200
	}, false},
	"hangs": {func(r *rand.Rand, h *hit) int {
		if r.IntN(3) == 0 {
			return hang(h)
		}
		return 200
	}, false},
	"one batch": {func(r *rand.Rand, h *hit) int {
		if h.batches()["batch-1"] {
			return []int{400, 500, 0}[r.IntN(3)]
		}
		return 200
	}, false},
	"refuses": {func(*rand.Rand, *hit) int { return 403 }, false},
	"gone": {func(r *rand.Rand, _ *hit) int {
		return []int{200, 410}[r.IntN(2)]
	}, false},
	"loses answers": {func(r *rand.Rand, h *hit) int {
		if r.IntN(3) == 0 {
			return -1
		}
		return 200
	}, true},
}

func acts(t *rapid.T) []act {
	kinds := []string{
		"works", "works", "some", "down", "slow", "hangs", "one batch", "refuses", "gone", "loses answers",
		"requeue", "restart", "crash", "saves fail", "saves are ambiguous", "reads fail", "store works",
	}
	most := 25
	if testing.Short() {
		most = 8
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
		return act{
			What: rapid.SampledFrom(kinds).Draw(t, "what"), Batches: rapid.IntRange(0, 30).Draw(t, "batches"),
			Seed: rapid.Uint64().Draw(t, "seed"),
			Rest: time.Duration(rapid.IntRange(1, 90_000).Draw(t, "rest")) * time.Millisecond,
		}
	}), 1, most).Draw(t, "acts")
}

// Whatever fails, the application accepts every event of the log, those of a batch in order. Only a crash or a lost
// answer repeats an event.
func TestEveryEventIsDelivered(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		history := acts(r)
		d := Destination{
			MaxEvents: rapid.SampledFrom([]int{1, 3, 50}).Draw(r, "max_events"),
			Workers:   rapid.IntRange(1, 10).Draw(r, "workers"),
		}
		d.limits.deferred = rapid.SampledFrom([]int{5, 10_000}).Draw(r, "deferred")
		d.limits.events = rapid.SampledFrom([]int{3, 10_000}).Draw(r, "window")
		var err error
		synctest.Test(t, func(t *testing.T) { err = replay(t, d, history) })
		if err != nil {
			r.Fatal(err)
		}
	})
}

// replay plays a history, then repairs everything, and returns an error if a promise is broken.
func replay(t *testing.T, d Destination, history []act) error {
	h := newHarness(t, func(c *Destination) {
		c.MaxEvents, c.Workers, c.limits, c.GiveUp = d.MaxEvents, d.Workers, d.limits, 1000*time.Hour
	})
	h.start()
	var want []string
	mayRepeat := false
	for _, a := range history {
		want = append(want, h.happen(1, batchNames(a.Batches)...)...)
		r := rand.New(rand.NewPCG(a.Seed, 0))
		switch a.What {
		case "saves fail", "saves are ambiguous":
			applied := a.What != "saves fail"
			h.log.failWith(func() (bool, error) {
				if r.IntN(3) == 0 {
					return true, nil
				}
				return applied, errInjected
			}, nil)
		case "reads fail":
			h.log.failWith(nil, errInjected)
		case "store works", "restart", "crash":
			h.log.failWith(nil, nil)
		}
		switch a.What {
		case "requeue":
			if _, err := h.log.RequeueEvents(t.Context(), "app", store.Now()); err != nil {
				return err
			}
		case "restart":
			h.stop()
			h.start()
		case "crash":
			mayRepeat = true
			h.crash()
			h.start()
		}
		if f, ok := failures[a.What]; ok {
			mayRepeat = mayRepeat || f.accepts
			h.app.respond(func(hit *hit) int {
				h.app.mu.Lock()
				own := rand.New(rand.NewPCG(r.Uint64(), 0))
				h.app.mu.Unlock()
				return f.answer(own, hit)
			})
		}
		h.advance(a.Rest)
	}
	return h.verdict(want, mayRepeat)
}

// verdict lets everything work again, and checks what the application has received in the end.
func (h *harness) verdict(want []string, mayRepeat bool) error {
	h.log.failWith(nil, nil)
	h.app.respond(always(200))
	h.advance(2 * time.Minute)
	if _, err := h.log.RequeueEvents(h.t.Context(), "app", store.Now()); err != nil {
		return err
	}
	h.advance(3 * time.Hour)
	seen, last := make(map[string]bool), make(map[string]int64)
	for _, e := range h.app.accepted {
		switch {
		case seen[e.ID] && !mayRepeat:
			return fmt.Errorf("event %d of %s is repeated", e.Version, e.Batch)
		case !seen[e.ID] && e.Version != last[e.Batch]+1:
			return fmt.Errorf("event %d of %s follows event %d", e.Version, e.Batch, last[e.Batch])
		case !seen[e.ID]:
			last[e.Batch] = e.Version
		}
		seen[e.ID] = true
	}
	for _, id := range want {
		if !seen[id] {
			return fmt.Errorf("%d of %d events were received", len(seen), len(want))
		}
	}
	d, events := h.log.stored("app")
	if d.Cursor != fmt.Sprint(len(h.log.events)) || len(events) > 0 {
		return fmt.Errorf("in the end: cursor %s of %d, %d deferred events", d.Cursor, len(h.log.events), len(events))
	}
	return nil
}
