package pgstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// cluster is a table of replicas and the processes that use it, each with its own clock.
type cluster struct {
	now       time.Duration // the true time
	table     map[string]replica
	late      []replica // heartbeats that were sent and are not written yet
	processes []*process
	started   int
}

// process runs a heartbeat in five stages. Between stages time passes and other processes run.
type process struct {
	members
	view    view
	clock   time.Time // what its clock shows at true time 0
	stalled time.Duration
	stage   int
	began   time.Time
	written time.Time
	rows    []replica
}

func (c *cluster) start(clock time.Time) *process {
	c.started++
	p := &process{clock: clock, members: members{self: replica{token: fmt.Sprint("token ", c.started), id: "id"}}}
	c.processes = append(c.processes, p)
	return p
}

// step runs the next stage of a process's heartbeat.
func (c *cluster) step(p *process) {
	switch p.stage {
	case 0:
		p.began = p.clock.Add(c.now)
		p.self.heartbeat++
	case 1:
		c.table[p.self.token] = p.self
	case 2:
		p.written = p.clock.Add(c.now)
	case 3:
		p.rows = c.rows()
	case 4:
		p.view = p.update(p.began, p.written, p.clock.Add(c.now), p.rows)
		for _, stopped := range p.view.stopped {
			if c.table[stopped.token].heartbeat == stopped.heartbeat {
				delete(c.table, stopped.token)
			}
		}
	}
	p.stage = (p.stage + 1) % 5
}

// heartbeat completes the current heartbeat of a process, or runs a whole one.
func (c *cluster) heartbeat(p *process) {
	for c.step(p); p.stage != 0; c.step(p) {
	}
}

func (c *cluster) rows() []replica {
	var rows []replica
	for _, r := range c.table {
		rows = append(rows, r)
	}
	return rows
}

// fail aborts a process's heartbeat. If it was sent but not written, it is lost, or written later if late is set.
func (c *cluster) fail(p *process, late bool) {
	if p.stage == 1 && late {
		c.late = append(c.late, p.self)
	}
	p.stage = 0
}

func (c *cluster) end(n int, orderly bool) {
	p := c.processes[n]
	if orderly {
		delete(c.table, p.self.token)
	}
	c.processes = append(c.processes[:n], c.processes[n+1:]...)
}

func (c *cluster) shares() (all []float64, sum float64) {
	for _, p := range c.processes {
		share := 0.0
		if !p.members.began.IsZero() {
			share = p.view.quotaShare(p.clock.Add(c.now))
		}
		all, sum = append(all, share), sum+share
	}
	return all, sum
}

// Whatever happens to the replicas and the database, and whatever the clocks show, the quota shares add up to at most
// 1.
func TestQuotaSharesNeverExceedOne(t *testing.T) {
	shared := 0
	rapid.Check(t, func(t *rapid.T) {
		c := &cluster{table: make(map[string]replica)}
		c.start(time.Unix(0, 0))
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			one := rapid.IntRange(0, max(len(c.processes)-1, 0)).Draw(t, "one")
			switch action := rapid.IntRange(0, 9).Draw(t, "action"); {
			case action < 2 && len(c.processes) < 5 || len(c.processes) == 0:
				c.start(time.Unix(rapid.Int64Range(-1e9, 1e9).Draw(t, "clock"), 0))
			case action < 6: // it stops at some stage of its heartbeat for a while
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
				c.now += heartbeatEvery / 4
				for _, p := range c.processes {
					if p.stalled <= c.now {
						c.heartbeat(p)
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
	require.Positive(t, shared, "no two processes ever had shares at the same time")
}

// advance lets d pass while every process runs a heartbeat each second. It returns the quota shares at the end.
func (c *cluster) advance(d time.Duration) []float64 {
	for end := c.now + d; c.now < end; c.now += heartbeatEvery {
		for _, p := range c.processes {
			c.heartbeat(p)
		}
	}
	all, _ := c.shares()
	return all
}

func TestQuotaSharesFollowLiveReplicas(t *testing.T) {
	c := &cluster{table: make(map[string]replica)}
	c.start(time.Unix(1e9, 0))
	require.Equal(t, []float64{1}, c.advance(heartbeatEvery),
		"a single process has the whole quota from its first heartbeat")
	c.start(time.Unix(0, 0))
	c.start(time.Unix(2e9, 0))
	require.Equal(t, []float64{1.0 / 3, 0, 0}, c.advance(2*heartbeatEvery))
	require.Equal(t, []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}, c.advance(stoppedAfter))
	c.end(1, true)
	require.Equal(t, []float64{.5, .5}, c.advance(heartbeatEvery), "a process that unregisters is removed at once")
	c.end(1, false)
	require.Equal(t, []float64{.5}, c.advance(stoppedAfter-heartbeatEvery))
	require.Equal(t, []float64{1}, c.advance(2*heartbeatEvery), "a killed process is removed after stoppedAfter")
	require.Len(t, c.table, 2)
	c.advance(deleteAfter)
	require.Len(t, c.table, 1, "the row of a killed process must be deleted")

	c.end(0, false)
	c.start(time.Unix(0, 0))
	require.Equal(t, []float64{0}, c.advance(stoppedAfter-heartbeatEvery), "the old row may belong to a live process")
	require.Equal(t, []float64{1}, c.advance(3*heartbeatEvery))
	require.False(t, c.processes[0].view.duplicateID, "an old row must not count as a duplicate id")
}

func TestQuotaShareEndsWithoutHeartbeat(t *testing.T) {
	c := &cluster{table: make(map[string]replica)}
	p := c.start(time.Unix(0, 0))
	c.start(time.Unix(0, 0))
	require.Equal(t, []float64{.5, .5}, c.advance(stoppedAfter+2*heartbeatEvery))
	began := p.members.began.Sub(p.clock)
	c.now = began + quotaValidFor - 1
	require.Equal(t, .5, p.view.quotaShare(p.clock.Add(c.now)))
	c.now = began + quotaValidFor
	require.Zero(t, p.view.quotaShare(p.clock.Add(c.now)))
	require.Equal(t, []float64{0, 0}, c.advance(2*heartbeatEvery), "both processes count as new")
	require.Equal(t, []float64{.5, .5}, c.advance(stoppedAfter))
}

func TestDuplicateIDIsReportedAfterHeartbeat(t *testing.T) {
	c := &cluster{table: make(map[string]replica)}
	p := c.start(time.Unix(0, 0))
	q := c.start(time.Unix(0, 0))
	c.heartbeat(q)
	c.heartbeat(p)
	require.False(t, p.view.duplicateID)
	c.heartbeat(q)
	c.heartbeat(p)
	require.True(t, p.view.duplicateID)
	q.self.id = "another"
	c.heartbeat(q)
	c.heartbeat(p)
	require.False(t, p.view.duplicateID)
	require.Equal(t, []string{"another", "id"}, p.view.ids)
}

// While a machine sleeps its monotonic clock stands still, but its wall clock does not.
func TestElapsedIncludesSleep(t *testing.T) {
	woke := time.Now()
	slept := woke.Add(-time.Hour).Round(0)
	require.GreaterOrEqual(t, elapsed(slept, woke), time.Hour)
	require.Equal(t, time.Minute, elapsed(woke, woke.Add(time.Minute)))
}
