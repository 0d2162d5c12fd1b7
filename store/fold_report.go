package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// report takes a delivery report, or a part of one, or counts it as a repeat.
func (f *folding) report(n Report, at time.Time) {
	b := f.batch
	var held *BatchReport
	var ref Ref
	if n.Type.Batch() {
		if held = f.begin(n, at); held == nil {
			return
		}
		ref = held.Ref
		b.Total = max(b.Total, n.Total)
	} else {
		if f.repeated(n) {
			f.duplicate(n)
			return
		}
		ref = f.log(n, at)
	}
	if b.ClientReference == "" {
		b.ClientReference = n.ClientReference
	}
	f.claims = nil
	for _, e := range n.Entries {
		f.entry(n, e, at, ref)
	}
	if n.part.last() { // only then its claims are counted
		f.named()
	}
	if held != nil {
		held.reached(n.part)
	}
	if n.Source == FromPoll && n.part.last() {
		f.changes.Polled++
	}
}

// duplicate counts a report that Sinch sent again. What was asked for again is no duplicate.
func (f *folding) duplicate(n Report) {
	if n.Source == FromCallback {
		f.changes.Duplicates++
	}
}

// named ends the call for the full report once all who were reported Delivered are known by name, however that came.
func (f *folding) named() {
	b := f.batch
	if !b.WantFull && (b.Dead == nil || !b.Dead.Full) {
		return
	}
	for _, r := range b.Reported {
		if r.Status == dlr.Delivered && r.Claimed > r.Named {
			return
		}
	}
	f.fullRead()
}

// repeated reports whether the same recipient report was taken before, and counts the repeat with it. A repeat that adds
// the operator's time is a repeat; that time is kept whichever came first, of two the later.
func (f *folding) repeated(n Report) bool {
	e := n.Entries[0]
	r := f.rows.Recipients[dlr.Digits(e.Recipients[0])]
	if r == nil {
		return false
	}
	for i := range r.Seen {
		s := &r.Seen[i]
		if !s.SameReport(e.State) {
			continue
		}
		held, _ := r.State()
		if e.OperatorAt.After(s.OperatorAt) {
			s.OperatorAt = e.OperatorAt
		}
		f.restate(held, r)
		s.Repeats++
		r.Changed = true
		return true
	}
	return false
}

// log has the report's bytes kept and returns where.
func (f *folding) log(n Report, at time.Time) Ref {
	f.rows.Log = append(f.rows.Log, Logged{ReceivedAt: at, Type: n.Type, Source: n.Source, Raw: n.Raw})
	return Ref{Chunk: f.rows.Chunk, Index: uint64(len(f.rows.Log) - 1)}
}

// entry takes what a report says of one status and code.
func (f *folding) entry(n Report, e dlr.Entry, at time.Time, ref Ref) {
	counted := f.reported(e.Status, e.Code)
	for _, number := range e.Recipients {
		r, before := f.row(number), counted.Messages()
		if f.see(r, Seen{State: e.State, ReceivedAt: at, Source: n.Source, Ref: ref}) {
			counted.Named++
		}
		if e.Status == dlr.Delivered && f.policy.earnsOnDelivered() {
			f.earn(r, at)
		}
		f.taken(n, e.State, number, at, counted.Messages()-before)
	}
	if !n.Type.Batch() || !n.part.last() {
		return
	}
	before := counted.Messages()
	counted.Claimed = max(counted.Claimed, f.claim(counted, e.Count))
	if more := counted.Messages() - before; more > 0 {
		f.taken(n, e.State, "", at, more)
	}
	// Somebody was delivered whom no report names: the full report does. What was read and still names nobody is not read again.
	if e.Status == dlr.Delivered && n.Source != FromPoll && f.policy.earnsOnDelivered() && counted.Claimed > counted.Named {
		f.batch.WantFull = true
	}
}

// kind is a status and code.
type kind struct {
	status dlr.Status
	code   int
}

// claim adds count to what the report in hand claims of a status and code: two entries of the same are as good as one with
// the sum.
func (f *folding) claim(r *Reported, count int) int {
	if f.claims == nil {
		f.claims = make(map[kind]int, 4)
	}
	k := kind{r.Status, r.Code}
	f.claims[k] += count
	return f.claims[k]
}

func (f *folding) taken(n Report, s dlr.State, number string, at time.Time, messages int) {
	t := Taken{State: counted(s, at), Number: dlr.Digits(number), Messages: messages, ReceivedAt: at, Source: n.Source}
	if f.batch.Facts != nil {
		t.SentAt = f.batch.Facts.SentAt()
	}
	f.changes.Taken = append(f.changes.Taken, t)
}

// reported is the count of one status and code, made when it is new. The pointer holds until the next call. Beyond
// maxReported the code is not told apart any more.
func (f *folding) reported(s dlr.Status, code int) *Reported {
	if r := f.counted(s, code); r != nil {
		return r
	}
	if len(f.batch.Reported) >= maxReported {
		s, code = s.Label(), dlr.NoCode
		if r := f.counted(s, code); r != nil {
			return r
		}
	}
	f.batch.Reported = append(f.batch.Reported, Reported{Status: s, Code: code})
	return &f.batch.Reported[len(f.batch.Reported)-1]
}

// counted is the count of one status and code, or nil.
func (f *folding) counted(s dlr.Status, code int) *Reported {
	for i := range f.batch.Reported {
		if r := &f.batch.Reported[i]; r.Code == code && r.Status == s {
			return r
		}
	}
	return nil
}

// see adds a report to a recipient's row and reports whether its status and code are new for the recipient.
func (f *folding) see(r *Row, s Seen) bool {
	fresh := true
	for _, old := range r.Seen {
		if old.SameReport(s.State) {
			return false // named twice, or by an undated report whose news is known
		}
		fresh = fresh && (old.Status != s.Status || old.Code != s.Code)
	}
	held, had := r.State()
	r.Seen = append(r.Seen, s)
	if len(r.Seen) > maxSeen {
		r.Seen = forget(&r.Recipient)
	}
	r.Changed = true
	if !had {
		f.restated("", s.Status)
		return fresh
	}
	f.restate(held, r)
	return fresh
}

// restate moves a recipient from the status it held to the one it holds now in the batch's counts.
func (f *folding) restate(held dlr.State, r *Row) {
	if now, _ := r.State(); now.Status != held.Status {
		f.restated(held.Status, now.Status)
	}
}

func (f *folding) restated(from, to dlr.Status) {
	b := f.batch
	if b.States == nil {
		b.States = make(map[dlr.Status]int, 4)
	}
	b.States[to]++
	if from == "" {
		return
	}
	if b.States[from]--; b.States[from] <= 0 {
		delete(b.States, from)
	}
}

// forget returns r.Seen without one report: the first that neither holds nor is the last of its status and code, else
// the first that does not hold.
func forget(r *Recipient) []Seen {
	effects := r.Effects()
	drop := -1
	for i, s := range r.Seen {
		if effects[i] == Holds {
			continue
		}
		if drop < 0 {
			drop = i
		}
		if others(r.Seen, i, s.State) {
			drop = i
			break
		}
	}
	return append(r.Seen[:drop:drop], r.Seen[drop+1:]...)
}

func others(seen []Seen, but int, s dlr.State) bool {
	for i, o := range seen {
		if i != but && o.Status == s.Status && o.Code == s.Code {
			return true
		}
	}
	return false
}
