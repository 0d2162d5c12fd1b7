package fold

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// part is a range of the recipients of a batch report, from <= i < to, in the order in which the report names them.
type part struct {
	from, to, all int
	key           [16]byte // content key of the whole report
}

// first reports whether the part starts at the first recipient. A nil part is the whole report.
func (p *part) first() bool { return p == nil || p.from == 0 }

// last reports whether the part ends at the last recipient. A nil part is the whole report.
func (p *part) last() bool { return p == nil || p.to == p.all }

// report is a delivery report while Fold applies it, or the part of a delivery report that Part puts into an arrival.
type report struct {
	store.Report
	part *part // the recipients that the report is restricted to; nil for all
}

// reportOf returns the delivery report that the entry n holds, and false if n is not a report.
func reportOf(n store.Entry) (report, bool) {
	switch n := n.(type) {
	case store.Report:
		return report{Report: n}, true
	case report:
		return n, true
	}
	return report{}, false
}

// key returns the content key that identifies the whole report, even if r is restricted to a part.
func (r report) key() [16]byte {
	if r.part != nil {
		return r.part.key
	}
	return r.ContentKey()
}

// Part returns the arrival restricted to the recipients from <= i < to, so that a store can fold an arrival with many
// recipients in several transactions. Consecutive parts that cover all recipients leave the same rows as the whole
// arrival: the first part of a batch report logs its raw bytes, and the last part applies its counts. If the report
// arrives again before the last part is folded, folding continues at BatchReport.Folded. Call Part on the whole arrival
// only, because Part caches in it what its parts share.
func Part(a *store.Arrival, from, to int) store.Arrival {
	p := *a
	if n, ok := reportOf(a.Entry); ok {
		p.Entry = partOf(a, n, from, to)
		return p
	}
	p.Entry = a.Entry.Restrict(from, to)
	return p
}

func partOf(a *store.Arrival, n report, from, to int) report {
	if n.part == nil {
		all := n.Names()
		n.part = &part{to: all, all: all, key: n.ContentKey()}
		a.Entry = n
	}
	p := &part{from: from, to: to, all: n.part.all, key: n.part.key}
	return report{n.Restrict(from, to).(store.Report), p}
}

// Folded returns how many recipients of the batch report in a are already folded into b, in the order of the report.
// The store continues after them. For other arrivals Folded returns 0, because b does not record such progress.
func Folded(a *store.Arrival, b *store.Batch) int {
	n, ok := reportOf(a.Entry)
	if !ok || !n.Type.Batch() {
		return 0
	}
	key := n.key()
	for _, r := range b.Reports {
		switch {
		case r.Key != key:
		case r.Folded == 0:
			return a.Entry.Names()
		default:
			return r.Folded
		}
	}
	return 0
}

// begin returns the BatchReport that records the report n in the batch, and adds it if n is new. It returns nil if n,
// whole or part, is already folded. When a completely folded report arrives again, begin counts one duplicate.
func (f *folding) begin(n report, at time.Time) *store.BatchReport {
	b, key := f.batch, n.key()
	for i := range b.Reports {
		r := &b.Reports[i]
		switch {
		case r.Key != key:
			continue
		case r.Folded == 0 && n.part.first():
			r.Repeats++
			f.duplicate(n)
			return nil
		case r.Folded == 0 || n.part != nil && n.part.to <= r.Folded:
			return nil
		}
		return r
	}
	f.received(n)
	b.Reports = append(b.Reports, store.BatchReport{
		Key: key, Type: n.Type, ReceivedAt: at, Source: n.Source, Ref: f.log(n, at),
	})
	if len(b.Reports) > maxReports {
		b.Reports = dropReport(b.Reports)
	}
	return &b.Reports[len(b.Reports)-1]
}

// setFolded sets r.Folded to how many recipients of the report are folded after the part p, or to 0 once all are.
func setFolded(r *store.BatchReport, p *part) {
	if r.Folded = 0; !p.last() {
		r.Folded = p.to
	}
}

// dropReport removes one of the reports and returns the others: it removes the first that is completely folded, or else
// the first. It keeps the last report, which is being folded.
func dropReport(reports []store.BatchReport) []store.BatchReport {
	drop := max(slices.IndexFunc(reports, func(r store.BatchReport) bool { return r.Folded == 0 }), 0)
	if drop == len(reports)-1 {
		drop = 0 // the last one is being folded
	}
	return append(reports[:drop:drop], reports[drop+1:]...)
}
