package boltstore

import (
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// rowFormat begins every row, so that a later one can be told apart.
const rowFormat = 1

// packedStatuses gives the statuses their numbers in rows; they are part of the format. 0 stands for a status that is
// spelled out.
var packedStatuses = [...]dlr.Status{
	1: dlr.Queued, dlr.Dispatched, dlr.Delivered, dlr.Failed, dlr.Rejected,
	dlr.Aborted, dlr.Expired, dlr.Cancelled, dlr.Deleted, dlr.Unknown,
}

func (p *packer) status(s dlr.Status) {
	for i, known := range packedStatuses {
		if i > 0 && known == s {
			p.byte(byte(i))
			return
		}
	}
	p.byte(0)
	p.string(string(s))
}

func (u *unpacker) status() dlr.Status {
	i := u.byte()
	if i == 0 {
		return dlr.Status(u.string())
	}
	if int(i) >= len(packedStatuses) {
		u.fail()
		return ""
	}
	return packedStatuses[i]
}

func (p *packer) ref(r store.Ref) {
	p.uint(r.Chunk)
	p.uint(r.Index)
}

func (u *unpacker) ref() store.Ref { return store.Ref{Chunk: u.uint(), Index: u.uint()} }

// Forms of a recipient's number beside its digits, which are the key.
const (
	numberBare byte = iota
	numberPlus
	numberOther
)

func encodeRecipient(r *store.Recipient) []byte {
	p := make(packer, 0, 24+40*len(r.Seen))
	p.byte(rowFormat)
	p.byte(byte(r.Feedback)) // where feedbackOf looks
	p.number(r.Number)
	p.time(r.FeedbackAt)
	p.uint(uint64(len(r.Seen)))
	for _, s := range r.Seen {
		p.status(s.Status)
		p.int(s.Code)
		p.time(s.ReceivedAt)
		p.near(s.At, s.ReceivedAt)
		p.near(s.OperatorAt, s.ReceivedAt)
		p.byte(byte(s.Source))
		p.uint(uint64(s.Repeats))
		p.ref(s.Ref)
	}
	return p
}

// decodeRecipient reads a row. digits is its key, if that is not a hash.
func decodeRecipient(row []byte, digits string) (store.Recipient, error) {
	u := unpacker{rest: row}
	if format := u.byte(); format != rowFormat && u.err == nil {
		return store.Recipient{}, fmt.Errorf("recipient: row has format %d, this version knows format %d", format, rowFormat)
	}
	r := store.Recipient{Feedback: store.FeedbackState(u.byte()), Number: u.number(digits), FeedbackAt: u.time()}
	n := u.length()
	r.Seen = make([]store.Seen, n, n+1)
	for i := range r.Seen {
		s := &r.Seen[i]
		s.Status = u.status()
		s.Code = u.int()
		s.ReceivedAt = u.time()
		s.At = u.near(s.ReceivedAt)
		s.OperatorAt = u.near(s.ReceivedAt)
		s.Source = store.Source(u.byte())
		s.Repeats = int(u.uint())
		s.Ref = u.ref()
	}
	if u.err != nil {
		return store.Recipient{}, fmt.Errorf("recipient: %w", u.err)
	}
	return r, nil
}

// feedbackOf reads only the feedback state of a row.
func feedbackOf(row []byte) store.FeedbackState {
	if len(row) < 2 {
		return store.FeedbackNone
	}
	return store.FeedbackState(row[1])
}

func (p *packer) number(n string) {
	digits := dlr.Digits(n)
	switch {
	case hashed(digits, maxDigits):
		p.byte(numberOther)
		p.string(n)
	case n == digits:
		p.byte(numberBare)
	case n == "+"+digits:
		p.byte(numberPlus)
	default:
		p.byte(numberOther)
		p.string(n)
	}
}

func (u *unpacker) number(digits string) string {
	switch u.byte() {
	case numberBare:
		return digits
	case numberPlus:
		return "+" + digits
	}
	return u.string()
}

// near packs a time as its distance from another, which is small: one more than the milliseconds, or 0 for no time.
func (p *packer) near(t, to time.Time) {
	if t.IsZero() {
		p.int(0)
		return
	}
	d := t.UnixMilli() - to.UnixMilli()
	if d >= 0 {
		d++
	}
	p.int(int(d))
}

func (u *unpacker) near(to time.Time) time.Time {
	d := u.int()
	if d == 0 {
		return time.Time{}
	}
	if d > 0 {
		d--
	}
	return time.UnixMilli(to.UnixMilli() + int64(d)).UTC()
}
