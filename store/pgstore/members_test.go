package pgstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// crowd is a table of replicas and the processes that use it, each with a clock of its own.
type crowd struct {
	now       time.Duration // the true time
	table     map[string]replica
	late      []replica // beats that the database was told of and has not made yet
	processes []*process
	started   int
}

// process takes a look in five stages, between which time passes and others do theirs.
type process struct {
	members
	view    view
	clock   time.Time // what its clock says at true time 0
	stalled time.Duration
	stage   int
	began   time.Time
	beaten  time.Time
	rows    []replica
}

func (c *crowd) start(clock time.Time) *process {
	c.started++
	p := &process{clock: clock, members: members{self: replica{token: fmt.Sprint("token ", c.started), id: "id"}}}
	c.processes = append(c.processes, p)
	return p
}

// step does the next stage of a process's look.
func (c *crowd) step(p *process) {
	switch p.stage {
	case 0:
		p.began = p.clock.Add(c.now)
		p.self.beat++
	case 1:
		c.table[p.self.token] = p.self
	case 2:
		p.beaten = p.clock.Add(c.now)
	case 3:
		p.rows = c.rows()
	case 4:
		p.view = p.look(p.began, p.beaten, p.clock.Add(c.now), p.rows)
		for _, gone := range p.view.forgotten {
			if c.table[gone.token].beat == gone.beat {
				delete(c.table, gone.token)
			}
		}
	}
	p.stage = (p.stage + 1) % 5
}

// look lets a process end the look it is at, or do a whole one.
func (c *crowd) look(p *process) {
	for c.step(p); p.stage != 0; c.step(p) {
	}
}

func (c *crowd) rows() []replica {
	var rows []replica
	for _, r := range c.table {
		rows = append(rows, r)
	}
	return rows
}

// fail ends a process's look: the beat that it may have asked for is made, or not, or later.
func (c *crowd) fail(p *process, late bool) {
	if p.stage == 1 && late {
		c.late = append(c.late, p.self)
	}
	p.stage = 0
}

func (c *crowd) end(n int, orderly bool) {
	p := c.processes[n]
	if orderly {
		delete(c.table, p.self.token)
	}
	c.processes = append(c.processes[:n], c.processes[n+1:]...)
}

func (c *crowd) shares() (all []float64, sum float64) {
	for _, p := range c.processes {
		share := 0.0
		if !p.looked.IsZero() {
			share = p.view.share(p.clock.Add(c.now))
		}
		all, sum = append(all, share), sum+share
	}
	return all, sum
}

// Whatever happens to the replicas and to the database, and whatever their clocks say, they do not do more together than one may.
func TestSharesNeverAddUpToMoreThanOne(t *testing.T) {
	shared := 0
	rapid.Check(t, func(t *rapid.T) {
		c := &crowd{table: make(map[string]replica)}
		c.start(time.Unix(0, 0))
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			one := rapid.IntRange(0, max(len(c.processes)-1, 0)).Draw(t, "one")
			switch action := rapid.IntRange(0, 9).Draw(t, "action"); {
			case action < 2 && len(c.processes) < 5 || len(c.processes) == 0:
				c.start(time.Unix(rapid.Int64Range(-1e9, 1e9).Draw(t, "clock"), 0))
			case action < 6: // it gets no further than to a stage of its look for a while
				p := c.processes[one]
				for range rapid.IntRange(0, 4).Draw(t, "stages") {
					c.step(p)
				}
				p.stalled = c.now + time.Duration(rapid.IntRange(0, 14_000).Draw(t, "stalled"))*time.Millisecond
			case action == 6:
				c.fail(c.processes[one], rapid.Bool().Draw(t, "late"))
			case action == 7 && len(c.late) > 0:
				c.table[c.late[0].token] = c.late[0]
				c.late = c.late[1:]
			case action == 8:
				c.end(one, rapid.Bool().Draw(t, "orderly"))
			}
			for range rapid.IntRange(0, 40).Draw(t, "passes") {
				c.now += beatEvery / 4
				for _, p := range c.processes {
					if p.stalled <= c.now {
						c.look(p)
					}
					all, sum := c.shares()
					require.LessOrEqual(t, sum, 1.000001, "%v", all)
					if len(all) > 1 && sum > 0.999 {
						shared++
					}
				}
			}
		}
	})
	require.Positive(t, shared, "nobody ever shared")
}

// passes lets all processes look every second for a while, and returns their shares then.
func (c *crowd) passes(d time.Duration) []float64 {
	for end := c.now + d; c.now < end; c.now += beatEvery {
		for _, p := range c.processes {
			c.look(p)
		}
	}
	all, _ := c.shares()
	return all
}

func TestSharesFollowWhoIsThere(t *testing.T) {
	c := &crowd{table: make(map[string]replica)}
	c.start(time.Unix(1e9, 0))
	require.Equal(t, []float64{1}, c.passes(beatEvery), "alone from the first look")
	c.start(time.Unix(0, 0))
	c.start(time.Unix(2e9, 0))
	require.Equal(t, []float64{1.0 / 3, 0, 0}, c.passes(2*beatEvery))
	require.Equal(t, []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}, c.passes(goneAfter))
	c.end(1, true)
	require.Equal(t, []float64{.5, .5}, c.passes(beatEvery), "who leaves is missed at once")
	c.end(1, false)
	require.Equal(t, []float64{.5}, c.passes(goneAfter-beatEvery))
	require.Equal(t, []float64{1}, c.passes(2*beatEvery), "who dies is missed later")
	require.Len(t, c.table, 2)
	c.passes(forgetAfter)
	require.Len(t, c.table, 1, "and forgotten in the end")

	c.end(0, false)
	c.start(time.Unix(0, 0))
	require.Equal(t, []float64{0}, c.passes(goneAfter-beatEvery), "whether the row of before is of a living one is not known")
	require.Equal(t, []float64{1}, c.passes(3*beatEvery))
	require.False(t, c.processes[0].view.namesake, "a row of before is no namesake")
}

func TestWithoutALookThereIsNoShare(t *testing.T) {
	c := &crowd{table: make(map[string]replica)}
	p := c.start(time.Unix(0, 0))
	c.start(time.Unix(0, 0))
	require.Equal(t, []float64{.5, .5}, c.passes(goneAfter+2*beatEvery))
	looked := p.looked.Sub(p.clock)
	c.now = looked + heldFor - 1
	require.Equal(t, .5, p.view.share(p.clock.Add(c.now)))
	c.now = looked + heldFor
	require.Zero(t, p.view.share(p.clock.Add(c.now)))
	require.Equal(t, []float64{0, 0}, c.passes(2*beatEvery), "both have to be heard of again")
	require.Equal(t, []float64{.5, .5}, c.passes(goneAfter))
}

func TestANamesakeIsNoticedOnceItBeats(t *testing.T) {
	c := &crowd{table: make(map[string]replica)}
	p := c.start(time.Unix(0, 0))
	q := c.start(time.Unix(0, 0))
	c.look(q)
	c.look(p)
	require.False(t, p.view.namesake)
	c.look(q)
	c.look(p)
	require.True(t, p.view.namesake)
	q.self.id = "another"
	c.look(q)
	c.look(p)
	require.False(t, p.view.namesake)
	require.Equal(t, []string{"another", "id"}, p.view.ids)
}

// The monotonic clock stands still while a machine sleeps; its wall clock does not.
func TestASleepCountsAsTimePassed(t *testing.T) {
	woke := time.Now()
	slept := woke.Add(-time.Hour).Round(0)
	require.GreaterOrEqual(t, elapsed(slept, woke), time.Hour)
	require.Equal(t, time.Minute, elapsed(woke, woke.Add(time.Minute)))
}
