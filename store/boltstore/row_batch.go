package boltstore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// batchFormat begins the row of a batch. Rows of format 1 end with the facts.
const batchFormat = 2

func encodeBatch(b *store.Batch) []byte {
	p := make(packer, 0, 256)
	p.byte(batchFormat)
	p.string(b.Plan)
	p.string(b.ID)
	p.time(b.FirstAt)
	p.time(b.LastAt)
	p.string(b.ClientReference)
	p.int(b.Total)
	p.byte(byte(b.Flag))
	p.bool(b.WantFull)
	p.uint(uint64(len(b.States)))
	for _, s := range slices.Sorted(maps.Keys(b.States)) {
		p.status(s)
		p.int(b.States[s])
	}
	p.uint(uint64(len(b.Reported)))
	for _, r := range b.Reported {
		p.status(r.Status)
		p.int(r.Code)
		p.int(r.Named)
		p.int(r.Claimed)
	}
	p.uint(uint64(len(b.Reports)))
	for _, r := range b.Reports {
		p.bytes(r.Key[:])
		p.string(string(r.Type))
		p.time(r.ReceivedAt)
		p.byte(byte(r.Source))
		p.uint(uint64(r.Repeats))
		p.ref(r.Ref)
	}
	p.int(b.Feedback.Owed)
	p.int(b.Feedback.Sent)
	p.int(b.Feedback.Dead)
	p.task(b.Task)
	p.dead(b.Dead)
	p.facts(b.Facts)
	p.byte(byte(b.Everyone))
	p.check(b.Check)
	if b.Facts != nil {
		p.int(b.Facts.Groups)
	}
	return p
}

func decodeBatch(row []byte) (*store.Batch, error) {
	u := unpacker{rest: row}
	format := u.byte()
	if format != batchFormat && format != rowFormat && u.err == nil {
		return nil, fmt.Errorf("batch: row has format %d, this version knows format %d", format, batchFormat)
	}
	b := &store.Batch{
		Plan: u.string(), ID: u.string(), FirstAt: u.time(), LastAt: u.time(),
		ClientReference: u.string(), Total: u.int(), Flag: store.Flag(u.byte()), WantFull: u.bool(),
	}
	if n := u.length(); n > 0 {
		b.States = make(map[dlr.Status]int, n)
		for range n {
			s := u.status()
			b.States[s] = u.int()
		}
	}
	for range u.length() {
		b.Reported = append(b.Reported, store.Reported{Status: u.status(), Code: u.int(), Named: u.int(), Claimed: u.int()})
	}
	for range u.length() {
		r := store.BatchReport{}
		copy(r.Key[:], u.view())
		r.Type, r.ReceivedAt, r.Source = dlr.Type(u.string()), u.time(), store.Source(u.byte())
		r.Repeats, r.Ref = int(u.uint()), u.ref()
		b.Reports = append(b.Reports, r)
	}
	b.Feedback = store.FeedbackCounts{Owed: u.int(), Sent: u.int(), Dead: u.int()}
	b.Task, b.Dead, b.Facts = u.task(), u.dead(), u.facts(b.ID)
	if format == batchFormat {
		b.Everyone, b.Check = store.FeedbackState(u.byte()), u.check()
		if b.Facts != nil {
			b.Facts.Groups = u.int()
		}
	}
	if u.err != nil {
		return nil, fmt.Errorf("batch: %w", u.err)
	}
	return b, nil
}

func (p *packer) task(t *store.Task) {
	if p.bool(t != nil); t == nil {
		return
	}
	p.time(t.Due)
	p.time(t.Since)
	p.int(t.Attempts)
	p.string(string(t.Reason))
	p.string(t.Detail)
}

func (u *unpacker) task() *store.Task {
	if !u.bool() {
		return nil
	}
	return &store.Task{Due: u.time(), Since: u.time(), Attempts: u.int(), Reason: store.Reason(u.string()), Detail: u.string()}
}

func (p *packer) check(c *store.Check) {
	if p.bool(c != nil); c == nil {
		return
	}
	p.time(c.Due)
	p.int(c.Asked)
}

func (u *unpacker) check() *store.Check {
	if !u.bool() {
		return nil
	}
	return &store.Check{Due: u.time(), Asked: u.int()}
}

func (p *packer) dead(d *store.Dead) {
	if p.bool(d != nil); d == nil {
		return
	}
	p.time(d.At)
	p.string(string(d.Reason))
	p.string(d.Detail)
	p.bool(d.Full)
}

func (u *unpacker) dead() *store.Dead {
	if !u.bool() {
		return nil
	}
	return &store.Dead{At: u.time(), Reason: store.Reason(u.string()), Detail: u.string(), Full: u.bool()}
}

func (p *packer) facts(f *store.Facts) {
	if p.bool(f != nil); f == nil {
		return
	}
	p.bool(f.Missing)
	p.bool(f.FeedbackEnabled)
	p.string(f.ReportKind)
	p.string(f.ClientReference)
	p.int(f.Recipients)
	p.bool(f.Canceled)
	p.time(f.CreatedAt)
	p.time(f.ModifiedAt)
	p.time(f.SendAt)
	p.time(f.ExpireAt)
	p.byte(byte(f.Source))
}

func (u *unpacker) facts(batchID string) *store.Facts {
	if !u.bool() {
		return nil
	}
	return &store.Facts{
		BatchID: batchID, Missing: u.bool(), FeedbackEnabled: u.bool(), ReportKind: u.string(), ClientReference: u.string(),
		Recipients: u.int(), Canceled: u.bool(), CreatedAt: u.time(), ModifiedAt: u.time(), SendAt: u.time(),
		ExpireAt: u.time(), Source: store.Source(u.byte()),
	}
}
