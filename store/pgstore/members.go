package pgstore

import (
	"slices"
	"time"
)

// A replica beats, which is to change its row, and then looks at the rows of all, about every beatEvery. From that follows who is
// alive and which share each has. Only spans on one clock are compared, so it does not matter what time the machines believe it is.
//
// The shares of all never add up to more than 1:
//   - What a look showed holds for heldFor from when the look began. Whoever cannot beat and look for longer has no share, and is
//     new when it can again.
//   - One whose beat has not changed for goneAfter, which is longer, is gone: it has had no share for a while.
//   - One that is new has no share for goneAfter from its first beat. By then the others have seen it, or have no share
//     themselves. It need not wait if it is the only one alive: whoever comes after it sees it, and waits.
const (
	beatEvery = time.Second
	heldFor   = 8 * time.Second
	goneAfter = 10 * time.Second
	// forgetAfter is when the row of one that is gone is deleted.
	forgetAfter = 10 * time.Minute
)

// replica is a row: one process that uses the database.
type replica struct {
	token string // of the process
	id    string
	beat  int64 // changes while it lives
}

// members are those that share the database, as one of them has seen them. Its owner is the goroutine that looks.
type members struct {
	self   replica
	looked time.Time // when the last look that succeeded began; zero before the first
	from   time.Time // when there is a share again, if no look fails
	others map[string]other
}

// other is another replica as it was seen last.
type other struct {
	replica
	since   time.Time // when its beat was seen first
	changed bool      // its beat was seen to change
}

// view is what one look showed.
type view struct {
	looked, from time.Time
	ids          []string  // of those alive, this one's too, sorted
	namesake     bool      // another that is alive has the same id
	forgotten    []replica // gone for so long that their rows may go
}

// look takes in what a look showed: it began, then the own beat was durable, then the rows were read.
func (m *members) look(began, beaten, read time.Time, rows []replica) view {
	if m.looked.IsZero() || elapsed(m.looked, beaten) >= heldFor {
		m.from = beaten.Add(goneAfter)
	}
	m.looked = began
	m.see(read, rows)
	v := view{looked: began, ids: []string{m.self.id}}
	for _, o := range m.others {
		// The rows were asked for after the beat and say what was true then.
		switch silent := beaten.Sub(o.since); {
		case silent >= forgetAfter:
			v.forgotten = append(v.forgotten, o.replica)
		case silent < goneAfter:
			v.ids = append(v.ids, o.id)
			v.namesake = v.namesake || o.changed && o.id == m.self.id
		}
	}
	if len(v.ids) == 1 && beaten.Before(m.from) {
		m.from = beaten
	}
	v.from = m.from
	slices.Sort(v.ids)
	return v
}

// see notes whose beats have changed.
func (m *members) see(read time.Time, rows []replica) {
	seen := make(map[string]other, len(rows))
	for _, r := range rows {
		if r.token == m.self.token {
			continue
		}
		o, known := m.others[r.token]
		if !known || o.beat != r.beat {
			o = other{replica: r, since: read, changed: known}
		}
		seen[r.token] = o
	}
	m.others = seen
}

// share is the part of what all may do that this one may do at now.
func (v *view) share(now time.Time) float64 {
	if now.Before(v.from) || elapsed(v.looked, now) >= heldFor {
		return 0
	}
	return 1 / float64(len(v.ids))
}

// elapsed is how much time has passed by whichever clock says more: while a machine sleeps, the monotonic one may stand still.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}
