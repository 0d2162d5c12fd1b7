package fold

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// report applies a delivery report, or a part of one, to the batch and its recipients. If the report was applied
// before, the method only counts a duplicate.
func (f *folding) report(n report, at time.Time) {
	b := f.batch
	var held *store.BatchReport
	var ref store.Ref
	if n.Type.Batch() {
		if held = f.begin(n, at); held == nil {
			return
		}
		ref = held.Ref
		b.Total = max(b.Total, n.Total)
		f.done = f.done && b.Complete() // the parts of a report have the same events as the whole
	} else {
		if f.repeated(n) {
			f.duplicate(n)
			return
		}
		ref = f.log(n, at)
		f.received(n)
	}
	if b.ClientReference == "" {
		b.ClientReference = n.ClientReference
	}
	f.claims = nil
	for _, e := range n.Entries {
		f.entry(n, e, at, ref)
	}
	if n.part.last() { // the last part applies the counts
		f.clearFullReportIfNamed()
	}
	if held != nil {
		setFolded(held, n.part)
	}
	if n.Source == store.FromPoll && n.part.last() {
		f.changes.Polled++
	}
}

// duplicate counts a repeated callback in Changes.Duplicates. It does not count a report that dlrloop fetched again.
func (f *folding) duplicate(n report) {
	if n.Source == store.FromCallback {
		f.changes.Duplicates++
	}
}

// clearFullReportIfNamed clears Batch.NeedsFullReport once reports name a recipient for every counted delivery.
func (f *folding) clearFullReportIfNamed() {
	b := f.batch
	if !b.NeedsFullReport && (b.Dead == nil || !b.Dead.FullReport) {
		return
	}
	for _, r := range b.Reported {
		if r.Status == dlr.Delivered && r.Claimed > r.Named {
			return
		}
	}
	f.clearFullReport()
}

// repeated reports whether the recipient report n was applied before, and if so counts a duplicate. A repeat may have
// another operator's time; the row keeps the latest of these times.
func (f *folding) repeated(n report) bool {
	e := n.Entries[0]
	r := f.rows.Recipients[dlr.Digits(e.Recipients[0])]
	if r == nil {
		return false
	}
	for i := range r.Reports {
		s := &r.Reports[i]
		if !s.SameReport(e.State) {
			continue
		}
		held, _ := r.State()
		if e.OperatorAt.After(s.OperatorAt) {
			s.OperatorAt = e.OperatorAt
		}
		f.updateStatus(held, r)
		f.stateChanged(r, held, true)
		s.Repeats++
		r.Changed = true
		return true
	}
	return false
}

// log adds the body of a report to Rows.Log and returns the place of the body in the report log.
func (f *folding) log(n report, at time.Time) store.Ref {
	f.rows.Log = append(f.rows.Log, store.Logged{ReceivedAt: at, Type: n.Type, Source: n.Source, Raw: n.Raw})
	return store.Ref{Chunk: f.rows.Chunk, Index: uint64(len(f.rows.Log) - 1)}
}

// entry applies one entry of a report, e: the message count and the recipients with one status and code.
func (f *folding) entry(n report, e dlr.Entry, at time.Time, ref store.Ref) {
	counted := f.reported(e.Status, e.Code)
	for _, number := range e.Recipients {
		r, before := f.row(number), counted.Messages()
		if f.addRecipientReport(r, store.RecipientReport{State: e.State, ReceivedAt: at, Source: n.Source, Ref: ref}) {
			counted.Named++
		}
		if e.Status == dlr.Delivered && earnsOnDelivered(f.policy) {
			f.earn(r, at)
		}
		f.addApplied(n, e.State, number, at, counted.Messages()-before)
	}
	if !n.Type.Batch() || !n.part.last() {
		return
	}
	before := counted.Messages()
	counted.Claimed = max(counted.Claimed, f.claim(counted, e.Count))
	if more := counted.Messages() - before; more > 0 {
		f.addApplied(n, e.State, "", at, more)
	}
	// The report counts a delivery without naming the recipient, so the full report must be fetched. A fetched report
	// that still does not name the recipient is not fetched again.
	earns := e.Status == dlr.Delivered && earnsOnDelivered(f.policy)
	if earns && n.Source != store.FromPoll && counted.Claimed > counted.Named {
		f.batch.NeedsFullReport = true
	}
}

// kind is a pair of status and code, the key of folding.claims.
type kind struct {
	status dlr.Status
	code   int
}

// claim adds count to the messages that earlier entries of the present report have under the status and code of r, and
// returns the sum. So several entries of the report with the same status and code count like one.
func (f *folding) claim(r *store.Reported, count int) int {
	if f.claims == nil {
		f.claims = make(map[kind]int, 4)
	}
	k := kind{r.Status, r.Code}
	f.claims[k] += count
	return f.claims[k]
}

func (f *folding) addApplied(n report, s dlr.State, number string, at time.Time, messages int) {
	t := store.Applied{
		State: store.RecipientReport{State: s, ReceivedAt: at}.Counted(), Number: dlr.Digits(number), Messages: messages,
		ReceivedAt: at, Source: n.Source,
	}
	if f.batch.Info != nil {
		t.SentAt = f.batch.Info.SentAt()
	}
	f.changes.Applied = append(f.changes.Applied, t)
}

// reported returns the counter of a status and code in Batch.Reported, and adds it if necessary. The pointer is valid
// until the next call. Once there are maxReported counters, new pairs with the same dlr.Status.Label share a counter.
func (f *folding) reported(s dlr.Status, code int) *store.Reported {
	if r := f.counted(s, code); r != nil {
		return r
	}
	if len(f.batch.Reported) >= maxReported {
		s, code = s.Label(), dlr.NoCode
		if r := f.counted(s, code); r != nil {
			return r
		}
	}
	f.batch.Reported = append(f.batch.Reported, store.Reported{Status: s, Code: code})
	return &f.batch.Reported[len(f.batch.Reported)-1]
}

// counted returns the counter of a status and code in Batch.Reported, or nil if there is none.
func (f *folding) counted(s dlr.Status, code int) *store.Reported {
	for i := range f.batch.Reported {
		if r := &f.batch.Reported[i]; r.Code == code && r.Status == s {
			return r
		}
	}
	return nil
}

// addRecipientReport adds a report to a recipient's row and reports whether its status and code are new in that row.
func (f *folding) addRecipientReport(r *Row, s store.RecipientReport) bool {
	fresh := true
	for _, old := range r.Reports {
		if old.SameReport(s.State) {
			return false // the report names the number twice, or repeats a known state without a time
		}
		fresh = fresh && (old.Status != s.Status || old.Code != s.Code)
	}
	held, had := r.State()
	r.Reports = append(r.Reports, s)
	if len(r.Reports) > maxReports {
		r.Reports = dropRecipientReport(&r.Recipient)
	}
	r.Changed = true
	if !had {
		f.moveStatus("", s.Status)
	} else {
		f.updateStatus(held, r)
	}
	f.stateChanged(r, held, had)
	return fresh
}

// updateStatus updates Batch.States, the counts of recipients by status, after r changed. held is r's previous state.
func (f *folding) updateStatus(held dlr.State, r *Row) {
	if now, _ := r.State(); now.Status != held.Status {
		f.moveStatus(held.Status, now.Status)
	}
}

func (f *folding) moveStatus(from, to dlr.Status) {
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

// dropRecipientReport removes one of the recipient's reports and returns the others. It keeps the report that
// determines the present state. It prefers to remove a report whose status and code another report has too.
func dropRecipientReport(r *store.Recipient) []store.RecipientReport {
	effects := r.Effects()
	drop := -1
	for i, s := range r.Reports {
		if effects[i] == store.Holds {
			continue
		}
		if drop < 0 {
			drop = i
		}
		if hasOther(r.Reports, i, s.State) {
			drop = i
			break
		}
	}
	return append(r.Reports[:drop:drop], r.Reports[drop+1:]...)
}

func hasOther(reports []store.RecipientReport, except int, s dlr.State) bool {
	for i, o := range reports {
		if i != except && o.Status == s.Status && o.Code == s.Code {
			return true
		}
	}
	return false
}
