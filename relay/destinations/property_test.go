package destinations

import (
	"math/rand/v2"
	"os"
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

// failures maps kinds of failures to how the application answers a request.
var failures = map[string]func(r *rand.Rand, h *hit) int{
	"works": func(*rand.Rand, *hit) int { return 204 },
	"some": func(r *rand.Rand, _ *hit) int {
		return []int{200, 200, 201, 400, 404, 408, 429, 500, 503, 302, 0}[r.IntN(11)]
	},
	"down": func(*rand.Rand, *hit) int { return 0 },
	"slow": func(r *rand.Rand, _ *hit) int {
		time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
		return 200
	},
	"hangs": func(r *rand.Rand, h *hit) int {
		if r.IntN(3) == 0 {
			return hang(h)
		}
		return 200
	},
	"one batch": func(r *rand.Rand, h *hit) int {
		if h.batches()["batch-1"] {
			return []int{400, 500, 0}[r.IntN(3)]
		}
		return 200
	},
	"one batch hangs": func(_ *rand.Rand, h *hit) int {
		switch found := h.batches(); {
		case found["batch-0"]:
			return hang(h)
		case found["batch-1"], found["batch-2"]:
			return 422
		}
		return 200
	},
	"refuses": func(*rand.Rand, *hit) int { return 403 },
	"gone": func(r *rand.Rand, _ *hit) int {
		return []int{200, 410}[r.IntN(2)]
	},
	"loses answers": func(r *rand.Rand, _ *hit) int {
		if r.IntN(3) == 0 {
			return -1
		}
		return 200
	},
}

func acts(t *rapid.T) []act {
	kinds := []string{
		"works", "works", "some", "down", "slow", "hangs", "one batch", "one batch hangs", "refuses", "gone",
		"loses answers", "requeue", "restart", "crash", "crash", "saves fail", "saves are ambiguous", "reads fail",
		"store works",
	}
	most := 12
	switch {
	case os.Getenv("DLRLOOP_LONG") != "":
		most = 25
	case testing.Short():
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

// Whatever fails, the application accepts every event of the log, those of a batch in order unless one becomes dead.
// Only a lost answer, and a crash between an answer and the save that lets the cursor pass the event, repeat an event.
func TestEveryEventIsDelivered(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		history := acts(r)
		d := Destination{
			MaxEvents:  rapid.SampledFrom([]int{1, 3, 50}).Draw(r, "max_events"),
			Workers:    rapid.IntRange(1, 10).Draw(r, "workers"),
			Unordered:  rapid.IntRange(0, 4).Draw(r, "unordered") == 4,
			GiveUp:     rapid.SampledFrom([]time.Duration{1000 * time.Hour, time.Minute}).Draw(r, "give_up"),
			MaxPending: rapid.SampledFrom([]int{1_000_000, 1_000_000, 40}).Draw(r, "max_pending"),
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
		c.MaxEvents, c.Workers, c.Unordered, c.limits = d.MaxEvents, d.Workers, d.Unordered, d.limits
		c.GiveUp, c.MaxPending = d.GiveUp, d.MaxPending
	})
	v := &verdict{h: h, ordered: !d.Unordered && d.GiveUp > time.Hour && d.MaxPending > 1000}
	if !v.ordered { // the event after a dead one is sent before the application notices that its request was canceled
		h.app.open = nil
	}
	h.start()
	for _, a := range history {
		v.want = append(v.want, h.happen(1, batchNames(a.Batches)...)...)
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
			h.crash()
			if err := v.crashed(); err != nil {
				return err
			}
			h.start()
		}
		if answer := failures[a.What]; answer != nil {
			h.app.respond(func(hit *hit) int {
				h.app.mu.Lock()
				own := rand.New(rand.NewPCG(r.Uint64(), 0))
				h.app.mu.Unlock()
				return answer(own, hit)
			})
		}
		h.advance(a.Rest)
	}
	return v.reach()
}
