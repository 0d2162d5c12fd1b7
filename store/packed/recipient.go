package packed

import (
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// rowFormat is the format of a recipient row, and the earliest format of a batch row.
const rowFormat = 1

// packedStatuses maps each documented status to its number in a row. The numbers are part of the format and must not
// change. In a row, 0 means that the status follows as text.
var packedStatuses = [...]dlr.Status{
	1: dlr.Queued, dlr.Dispatched, dlr.Delivered, dlr.Failed, dlr.Rejected,
	dlr.Aborted, dlr.Expired, dlr.Cancelled, dlr.Deleted, dlr.Unknown,
}

func (p *Writer) status(s dlr.Status) {
	for i, known := range packedStatuses {
		if i > 0 && known == s {
			p.Byte(byte(i))
			return
		}
	}
	p.Byte(0)
	p.Text(string(s))
}

func (u *Reader) status() dlr.Status {
	i := u.Byte()
	if i == 0 {
		return dlr.Status(u.Text())
	}
	if int(i) >= len(packedStatuses) {
		u.fail()
		return ""
	}
	return packedStatuses[i]
}

func (p *Writer) ref(r store.Ref) {
	p.Uint(r.Chunk)
	p.Uint(r.Index)
}

func (u *Reader) ref() (r store.Ref) {
	r.Chunk = u.Uint()
	r.Index = u.Uint()
	return r
}

// How a row stores the phone number: not at all (the key has the digits), as a plus sign before the digits, or as text.
const (
	numberBare byte = iota
	numberPlus
	numberOther
)

// EncodeRecipient returns the encoded row of a recipient. digits are the digits of the phone number if the key of the
// row contains them, so that the row need not repeat them; otherwise pass "".
func EncodeRecipient(r *store.Recipient, digits string) []byte {
	return AppendRecipient(make(Writer, 0, 24+40*len(r.Reports)), r, digits)
}

// AppendRecipient appends the row of a recipient to p and returns the extended Writer. See EncodeRecipient for digits.
func AppendRecipient(p Writer, r *store.Recipient, digits string) Writer {
	p.Byte(rowFormat)
	p.Byte(byte(r.Feedback))
	p.number(r.Number, digits)
	p.Time(r.FeedbackAt)
	p.Uint(uint64(len(r.Reports)))
	for _, s := range r.Reports {
		p.status(s.Status)
		p.Int(s.Code)
		p.Time(s.ReceivedAt)
		p.near(s.At, s.ReceivedAt)
		p.near(s.OperatorAt, s.ReceivedAt)
		p.Byte(byte(s.Source))
		p.Uint(uint64(s.Repeats))
		p.ref(s.Ref)
	}
	return p
}

// DecodeRecipient decodes a row that EncodeRecipient returned. Pass the same digits as to EncodeRecipient. If they were
// empty there, DecodeRecipient ignores its own digits.
func DecodeRecipient(row []byte, digits string) (store.Recipient, error) {
	u := Reader{Rest: row}
	if format := u.Byte(); format != rowFormat && u.Err == nil {
		return store.Recipient{}, fmt.Errorf("recipient: row has format %d, this version reads %d", format, rowFormat)
	}
	var r store.Recipient
	r.Feedback = store.FeedbackState(u.Byte())
	r.Number = u.number(digits)
	r.FeedbackAt = u.Time()
	n := u.Length()
	r.Reports = make([]store.RecipientReport, n, n+1)
	for i := range r.Reports {
		s := &r.Reports[i]
		s.Status = u.status()
		s.Code = u.Int()
		s.ReceivedAt = u.Time()
		s.At = u.near(s.ReceivedAt)
		s.OperatorAt = u.near(s.ReceivedAt)
		s.Source = store.Source(u.Byte())
		s.Repeats = int(u.Uint())
		s.Ref = u.ref()
	}
	if u.Err != nil {
		return store.Recipient{}, fmt.Errorf("recipient: %w", u.Err)
	}
	return r, nil
}

func (p *Writer) number(n, digits string) {
	switch {
	case digits != "" && n == digits:
		p.Byte(numberBare)
	case digits != "" && n == "+"+digits:
		p.Byte(numberPlus)
	default:
		p.Byte(numberOther)
		p.Text(n)
	}
}

func (u *Reader) number(digits string) string {
	switch u.Byte() {
	case numberBare:
		return digits
	case numberPlus:
		return "+" + digits
	}
	return u.Text()
}

// near appends the distance of t from base in milliseconds, which needs few bytes if the times are close. It encodes a
// zero t as 0, and therefore a distance d of 0 or more as d+1.
func (p *Writer) near(t, base time.Time) {
	if t.IsZero() {
		p.Int(0)
		return
	}
	d := t.UnixMilli() - base.UnixMilli()
	if d >= 0 {
		d++
	}
	p.Int(int(d))
}

func (u *Reader) near(base time.Time) time.Time {
	d := u.Int()
	if d == 0 {
		return time.Time{}
	}
	if d > 0 {
		d--
	}
	return time.UnixMilli(base.UnixMilli() + int64(d)).UTC()
}
