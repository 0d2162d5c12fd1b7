package packed

import (
	"fmt"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// eventFormat is the format of a list of events, its first byte.
const eventFormat = 1

// eventTypes maps each type of event to its number in a row. The numbers are part of the format and must not change.
var eventTypes = [...]store.EventType{
	1: store.RecipientStatus, store.BatchCompleted, store.FeedbackAccepted, store.FeedbackGivenUp,
	store.InboundReceived, store.CallbackQuarantined, store.ReportReceived,
}

// AppendEvents appends the encoded events to p and returns the extended Writer.
func AppendEvents(p Writer, events []store.Event) Writer {
	p.Byte(eventFormat)
	p.Uint(uint64(len(events)))
	for i := range events {
		p.event(&events[i])
	}
	return p
}

// DecodeEvents decodes a row that AppendEvents wrote. The events share the memory of row. The error of a damaged row
// wraps ErrShort.
func DecodeEvents(row []byte) ([]store.Event, error) {
	u := Reader{Rest: row}
	if format := u.Byte(); format != eventFormat && u.Err == nil {
		return nil, fmt.Errorf("events: row has format %d, this version reads %d", format, eventFormat)
	}
	events := make([]store.Event, u.Length())
	for i := range events {
		u.event(&events[i])
	}
	if u.Err != nil {
		return nil, fmt.Errorf("events: %w", u.Err)
	}
	return events, nil
}

func (p *Writer) event(e *store.Event) {
	p.Byte(byte(max(slices.Index(eventTypes[:], e.Type), 0)))
	p.Time(e.At)
	p.Text(e.Plan)
	switch e.Type {
	case store.InboundReceived, store.CallbackQuarantined:
		p.Text(e.Key)
	default:
		p.Text(e.BatchID)
		p.Int(int(e.Version - e.At.UnixMilli())) // usually 0 or small
	}
	p.Text(e.ClientReference)
	switch e.Type {
	case store.RecipientStatus:
		p.Text(e.Number)
		p.status(e.State.Status)
		p.Int(e.State.Code)
		p.near(e.State.At, e.At)
		p.near(e.State.OperatorAt, e.At)
	case store.BatchCompleted:
		p.Uint(uint64(len(e.Counts)))
		for _, c := range e.Counts {
			p.status(c.Status)
			p.Int(c.Code)
			p.Int(c.Messages)
		}
	case store.FeedbackAccepted, store.FeedbackGivenUp:
		p.Uint(uint64(len(e.Recipients)))
		for _, number := range e.Recipients {
			p.Text(number)
		}
		p.Bool(e.WholeBatch)
		p.Text(string(e.Reason))
		p.Text(e.Detail)
	case store.InboundReceived, store.ReportReceived:
		p.callback(e)
	case store.CallbackQuarantined:
		p.Text(string(e.Misread))
		p.Text(string(e.CallbackType))
		p.callback(e)
	}
}

func (u *Reader) event(e *store.Event) {
	t := int(u.Byte())
	if t == 0 || t >= len(eventTypes) {
		u.fail()
		return
	}
	e.Type = eventTypes[t]
	e.At = u.Time()
	e.Plan = u.Text()
	switch e.Type {
	case store.InboundReceived, store.CallbackQuarantined:
		e.Key = u.Text()
	default:
		e.BatchID = u.Text()
		e.Version = int64(u.Int()) + e.At.UnixMilli()
	}
	e.ClientReference = u.Text()
	switch e.Type {
	case store.RecipientStatus:
		e.Number = u.Text()
		e.State.Status = u.status()
		e.State.Code = u.Int()
		e.State.At = u.near(e.At)
		e.State.OperatorAt = u.near(e.At)
	case store.BatchCompleted:
		e.Counts = make([]store.StatusCount, u.Length())
		for i := range e.Counts {
			c := &e.Counts[i]
			c.Status = u.status()
			c.Code = u.Int()
			c.Messages = u.Int()
		}
	case store.FeedbackAccepted, store.FeedbackGivenUp:
		for range u.Length() {
			e.Recipients = append(e.Recipients, u.Text())
		}
		e.WholeBatch = u.Bool()
		e.Reason = store.Reason(u.Text())
		e.Detail = u.Text()
	case store.InboundReceived, store.ReportReceived:
		u.callback(e)
	case store.CallbackQuarantined:
		e.Misread = dlr.Reason(u.Text())
		e.CallbackType = dlr.Type(u.Text())
		u.callback(e)
	}
}

// callback appends the body of the event's callback and its signature.
func (p *Writer) callback(e *store.Event) {
	p.Bytes(e.Raw)
	p.Signature(e.Signature)
}

func (u *Reader) callback(e *store.Event) {
	if raw := u.View(); len(raw) > 0 {
		e.Raw = raw
	}
	e.Signature = u.Signature()
}

// Signature appends the signature of a callback, which may be nil.
func (p *Writer) Signature(s *store.Signature) {
	if p.Bool(s != nil); s == nil {
		return
	}
	p.Text(s.Algorithm)
	p.Text(s.Nonce)
	p.Text(s.Timestamp)
	p.Text(s.Value)
}

// Signature decodes what Writer.Signature appended.
func (u *Reader) Signature() *store.Signature {
	if !u.Bool() {
		return nil
	}
	s := new(store.Signature)
	s.Algorithm = u.Text()
	s.Nonce = u.Text()
	s.Timestamp = u.Text()
	s.Value = u.Text()
	return s
}

// AppendDeferred appends the encoded deferred event to p and returns the extended Writer. It leaves out the id, which
// the key of the row contains.
func AppendDeferred(p Writer, d *store.DeferredEvent) Writer {
	p.Byte(eventFormat)
	p.event(&d.Event)
	p.Time(d.Since)
	p.Bool(d.Dead)
	p.Time(d.Due)
	p.Int(d.Attempts)
	p.Text(string(d.Reason))
	p.Text(d.Detail)
	return p
}

// DecodeDeferred decodes a row that AppendDeferred wrote. The event shares the memory of row.
func DecodeDeferred(row []byte, id int64) (store.DeferredEvent, error) {
	u := Reader{Rest: row}
	d := store.DeferredEvent{ID: id}
	if format := u.Byte(); format != eventFormat && u.Err == nil {
		return d, fmt.Errorf("deferred event: row has format %d, this version reads %d", format, eventFormat)
	}
	u.event(&d.Event)
	d.Since = u.Time()
	d.Dead = u.Bool()
	d.Due = u.Time()
	d.Attempts = u.Int()
	d.Reason = store.DeliveryReason(u.Text())
	d.Detail = u.Text()
	if u.Err != nil {
		return d, fmt.Errorf("deferred event: %w", u.Err)
	}
	return d, nil
}
