package pgstore

import (
	"slices"
	"time"
)

// Times of the heartbeats, by which replicas find each other. About every heartbeatEvery a replica increments a counter
// in its row of table replica (a heartbeat) and reads the rows of all replicas. From these it derives which replicas
// are alive and its own quota share: the part of a shared limit, such as the feedback rate of a plan, that it may use.
// It compares only durations on its own clock, so the clocks of the machines may differ. All quota shares together
// never exceed 1, because of three rules:
//   - What a replica reads in a heartbeat is valid for quotaValidFor from the start of that heartbeat. A replica whose
//     heartbeats fail for longer has quota share 0, and counts as new when they succeed again.
//   - A replica whose counter has not changed for stoppedAfter counts as stopped. Since stoppedAfter is longer than
//     quotaValidFor, its quota share is 0 by then.
//   - A new replica has quota share 0 for stoppedAfter from its first heartbeat. By then all other replicas have read
//     its row, or what they read is no longer valid. A replica that finds no other one alive does not wait, because any
//     later replica reads its row and waits.
const (
	heartbeatEvery = time.Second
	quotaValidFor  = 8 * time.Second
	stoppedAfter   = 10 * time.Second
	// A stopped replica's row is deleted after deleteAfter.
	deleteAfter = 10 * time.Minute
)

// replica is a row of table replica: one process that uses the database. A crashed process leaves its row.
type replica struct {
	token     string // random, unique per process
	id        string
	heartbeat int64 // changes with every heartbeat
}

// members is what this replica knows of the others that share the database. Only the heartbeat goroutine uses it.
type members struct {
	self      replica
	began     time.Time // start of the last successful heartbeat; zero before the first
	quotaFrom time.Time // from then on the quota share is positive, if no heartbeat fails
	peers     map[string]peer
}

// peer is another replica, as its row was last read.
type peer struct {
	replica
	since   time.Time // when this value of its heartbeat was first read
	changed bool      // its heartbeat has changed since its row was first read
}

// view is the result of one heartbeat: which replicas are alive, and when this replica may use its quota share.
type view struct {
	began, quotaFrom time.Time
	ids              []string  // of the replicas alive, including this one; sorted
	duplicateID      bool      // another live replica has the same id
	stopped          []replica // without a new heartbeat for deleteAfter: their rows may be deleted
}

// update applies the result of one heartbeat and returns the new view. began is when the heartbeat began, written is
// when it was durable, and read is when rows (of all replicas) had been read. All times are from this process's clock.
func (m *members) update(began, written, read time.Time, rows []replica) view {
	if m.began.IsZero() || elapsed(m.began, written) >= quotaValidFor {
		m.quotaFrom = written.Add(stoppedAfter)
	}
	m.began = began
	m.observe(read, rows)
	v := view{began: began, ids: []string{m.self.id}}
	for _, o := range m.peers {
		// The rows were read after written, so they were current then.
		switch silent := written.Sub(o.since); {
		case silent >= deleteAfter:
			v.stopped = append(v.stopped, o.replica)
		case silent < stoppedAfter:
			v.ids = append(v.ids, o.id)
			v.duplicateID = v.duplicateID || o.changed && o.id == m.self.id
		}
	}
	if len(v.ids) == 1 && written.Before(m.quotaFrom) {
		m.quotaFrom = written
	}
	v.quotaFrom = m.quotaFrom
	slices.Sort(v.ids)
	return v
}

// observe updates m.peers from rows, which hold all replicas at the time read. It records which counters have changed.
func (m *members) observe(read time.Time, rows []replica) {
	peers := make(map[string]peer, len(rows))
	for _, r := range rows {
		if r.token == m.self.token {
			continue
		}
		o, known := m.peers[r.token]
		if !known || o.heartbeat != r.heartbeat {
			o = peer{replica: r, since: read, changed: known}
		}
		peers[r.token] = o
	}
	m.peers = peers
}

// quotaShare returns the fraction (0 to 1) of a shared limit that this replica may use at now. It returns 0 if this
// replica is new or the view is too old.
func (v *view) quotaShare(now time.Time) float64 {
	if now.Before(v.quotaFrom) || elapsed(v.began, now) >= quotaValidFor {
		return 0
	}
	return 1 / float64(len(v.ids))
}

// elapsed returns the time between from and to by the monotonic or the wall clock, whichever shows more, because the
// monotonic clock may stand still while a machine sleeps.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}
