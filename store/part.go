package store

import (
	"slices"
	"time"
)

// part says which recipients of a batch report are in hand: those from..to of all, in the order in which it names them.
type part struct {
	from, to, all int
	key           [16]byte // the content of the whole report
}

// first reports whether the report begins with the part; so does a whole report.
func (p *part) first() bool { return p == nil || p.from == 0 }

// last reports whether the report ends with the part; so does a whole report.
func (p *part) last() bool { return p == nil || p.to == p.all }

// key is the content of the report, also of one that is in hand in part.
func (r Report) key() [16]byte {
	if r.part != nil {
		return r.part.key
	}
	return r.ContentKey()
}

// Recipients is how many numbers a names, in the order of Touches. One that is named twice counts twice.
func (a Arrival) Recipients() int {
	switch n := a.News.(type) {
	case Report:
		named := 0
		for _, e := range n.Entries {
			named += len(e.Recipients)
		}
		return named
	case Facts:
		return len(n.Numbers)
	case Confirmation:
		return len(n.Recipients)
	case Settlement:
		return len(n.Recipients)
	case Requeue:
		return len(n.Recipients)
	}
	return 0
}

// Part returns the part of a that names recipients from..to, for Fold. An arrival with more than MaxRecipients may be
// folded in parts, over any number of transactions: parts that cover all recipients in their order leave the rows that the
// whole leaves. The first part of a batch report keeps its bytes and the last part takes its counts; between them
// BatchReport.Folded says how far the report is folded. A report that was left unfinished is taken up where it was left
// when it arrives again. Parts are made from the whole arrival, which remembers what they share.
func (a *Arrival) Part(from, to int) Arrival {
	p := *a
	switch n := a.News.(type) {
	case Report:
		p.News = a.partOf(n, from, to)
	case Facts:
		n.Numbers = n.Numbers[from:to:to]
		p.News = n
	case Confirmation:
		n.Recipients = n.Recipients[from:to:to]
		p.News = n
	case Requeue:
		n.Recipients = n.Recipients[from:to:to]
		p.News = n
	}
	return p
}

func (a *Arrival) partOf(n Report, from, to int) Report {
	if n.part == nil {
		all := a.Recipients()
		n.part = &part{to: all, all: all, key: n.ContentKey()}
		a.News = n
	}
	whole := *n.Report
	whole.Entries = slices.Clone(whole.Entries)
	begin := 0
	for i := range whole.Entries {
		e := &whole.Entries[i]
		end := begin + len(e.Recipients)
		e.Recipients = between(e.Recipients, from-begin, to-begin)
		begin = end
	}
	return Report{Report: &whole, Raw: n.Raw, Source: n.Source, part: &part{from: from, to: to, all: n.part.all, key: n.part.key}}
}

// Folded returns how many of the recipients of a batch report b has folded already, in the order of the report: all of them if
// the report is known whole. Of other arrivals a batch remembers nothing.
func (a *Arrival) Folded(b *Batch) int {
	n, ok := a.News.(Report)
	if !ok || !n.Type.Batch() {
		return 0
	}
	key := n.key()
	for _, r := range b.Reports {
		switch {
		case r.Key != key:
		case r.Folded == 0:
			return a.Recipients()
		default:
			return r.Folded
		}
	}
	return 0
}

// between is the part of numbers that from..to covers, which may begin before them and end behind them.
func between(numbers []string, from, to int) []string {
	from, to = min(max(from, 0), len(numbers)), min(max(to, 0), len(numbers))
	return numbers[from:to:to]
}

// begin finds what is kept of a batch report, or keeps it. It returns nil if the report, or the part of it, was folded before.
func (f *folding) begin(n Report, at time.Time) *BatchReport {
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
	b.Reports = append(b.Reports, BatchReport{Key: key, Type: n.Type, ReceivedAt: at, Source: n.Source, Ref: f.log(n, at)})
	if len(b.Reports) > maxSeen {
		b.Reports = forgetReport(b.Reports)
	}
	return &b.Reports[len(b.Reports)-1]
}

// reached notes how far the report is folded.
func (r *BatchReport) reached(p *part) {
	if r.Folded = 0; !p.last() {
		r.Folded = p.to
	}
}

// forgetReport returns reports without the first that is folded whole, else without the first.
func forgetReport(reports []BatchReport) []BatchReport {
	drop := max(slices.IndexFunc(reports, func(r BatchReport) bool { return r.Folded == 0 }), 0)
	if drop == len(reports)-1 {
		drop = 0 // the last is the one in hand
	}
	return append(reports[:drop:drop], reports[drop+1:]...)
}
