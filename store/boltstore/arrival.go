package boltstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/journal"
	"github.com/dlrloop/dlrloop/store/packed"
)

// The kind of an arrival (a report or another entry to record) is the first byte of its encoding. Journals on disk hold
// these values, so they must never change.
const (
	kindReport byte = iota + 1
	kindQuarantined
	kindBatchInfo
	kindConfirmation
	kindSettlement
	kindRequeue
	kindReportFetched
	kindInbound
)

// encodeArrival encodes an arrival for the journal: its kind, service plan, time in milliseconds since 1970, and
// content. The content of a report, an inbound message or a quarantined (unparsable) callback ends with its raw bytes;
// other content is JSON.
func encodeArrival(a store.Arrival) ([]byte, error) {
	var p packed.Writer
	head := func(kind byte, room int) {
		p = make(packed.Writer, 0, room+len(a.Plan)+24)
		p.Byte(kind)
		p.Text(a.Plan)
		p.Time(a.At)
	}
	asJSON := func(kind byte, content any) error {
		text, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("encode arrival: %w", err)
		}
		head(kind, len(text))
		p = append(p, text...)
		return nil
	}
	var err error
	switch n := a.Entry.(type) {
	case store.Report:
		head(kindReport, len(n.Raw))
		p.Byte(byte(n.Source))
		p = append(p, n.Raw...)
	case store.Quarantined:
		head(kindQuarantined, len(n.Raw)+64)
		p.Text(string(n.Reason))
		p.Text(string(n.Type))
		p = append(p, n.Raw...)
	case store.Inbound:
		head(kindInbound, len(n.Raw))
		p = append(p, n.Raw...)
	case store.BatchInfo:
		err = asJSON(kindBatchInfo, n)
	case store.FetchNow:
		err = asJSON(kindBatchInfo, encodedInfo{n.BatchInfo, true})
	case store.Confirmation:
		err = asJSON(kindConfirmation, n)
	case store.Settlement:
		err = asJSON(kindSettlement, n)
	case store.Requeue:
		err = asJSON(kindRequeue, n)
	case store.ReportFetched:
		err = asJSON(kindReportFetched, n)
	default:
		err = fmt.Errorf("encode arrival: unknown type %T", a.Entry)
	}
	return p, err
}

// own returns the arrival with its raw bytes as a part of encoded, the result of encodeArrival. The caller of Record
// may then reuse the buffer from which the raw bytes came.
func own(a store.Arrival, encoded []byte) store.Arrival {
	if raw := a.Entry.RawBytes(); len(raw) > 0 {
		a.Entry = a.Entry.WithRaw(encoded[len(encoded)-len(raw):])
	}
	return a
}

// decodeArrival decodes the result of encodeArrival. The arrival shares the memory of encoded. If this version cannot
// parse a body that another version recorded, the entry becomes a store.Quarantined, which keeps only the raw bytes.
func decodeArrival(encoded []byte) (store.Arrival, error) {
	u := packed.Reader{Rest: encoded}
	kind := u.Byte()
	var a store.Arrival
	a.Plan = u.Text()
	a.At = u.Time()
	var err error
	switch kind {
	case kindReport:
		source := store.Source(u.Byte())
		a.Entry = decodeBody(source, u.Rest)
	case kindQuarantined:
		reason := dlr.Reason(u.Text())
		kind := dlr.Type(u.Text())
		a.Entry = store.Quarantined{Reason: reason, Type: kind, Raw: u.Rest}
	case kindInbound:
		a.Entry = decodeBody(store.FromCallback, u.Rest)
	case kindBatchInfo:
		a.Entry, err = decodeInfo(u.Rest)
	case kindConfirmation:
		a.Entry, err = fromJSON[store.Confirmation](u.Rest)
	case kindSettlement:
		a.Entry, err = fromJSON[store.Settlement](u.Rest)
	case kindRequeue:
		a.Entry, err = fromJSON[store.Requeue](u.Rest)
	case kindReportFetched:
		a.Entry, err = fromJSON[store.ReportFetched](u.Rest)
	default:
		err = fmt.Errorf("unknown kind %d", kind)
	}
	if u.Err != nil {
		err = u.Err
	}
	if err != nil {
		return a, fmt.Errorf("decode arrival: %w", err)
	}
	return a, nil
}

// decodeBody parses raw, the JSON of one callback, into a store.Report or a store.Inbound. source says how dlrloop
// obtained a report. If this version cannot parse raw, the result is a store.Quarantined; all results share the memory
// of raw.
func decodeBody(source store.Source, raw []byte) store.Entry {
	c, err := dlr.Parse(raw)
	switch {
	case err == nil && c.Report != nil:
		return store.Report{Report: c.Report, Raw: raw, Source: source}
	case err == nil:
		return store.Inbound{Inbound: c.Inbound, Raw: raw}
	}
	not := store.Quarantined{Reason: dlr.UnknownType, Type: c.Type, Raw: raw}
	if cause, ok := errors.AsType[*dlr.ParseError](err); ok {
		not.Reason = cause.Reason
	}
	return not
}

// encodedInfo is the JSON form of a store.BatchInfo or, if FetchNow is set, of a store.FetchNow. In the journal,
// FetchNow has an older name, CheckNow.
type encodedInfo struct {
	store.BatchInfo
	FetchNow bool `json:"CheckNow"`
}

func decodeInfo(text []byte) (store.Entry, error) {
	var e encodedInfo
	if err := json.Unmarshal(text, &e); err != nil || !e.FetchNow {
		return e.BatchInfo, err
	}
	return store.FetchNow{BatchInfo: e.BatchInfo}, nil
}

func fromJSON[N store.Entry](text []byte) (store.Entry, error) {
	var n N
	err := json.Unmarshal(text, &n)
	return n, err
}

// encodeFrame encodes arrivals as one journal frame, the unit of one write and one sync. It reuses the memory of buf if
// that is large enough. journal.Append fills in the frame's header later.
func encodeFrame(buf []byte, arrivals []recorded) []byte {
	p := packed.Writer(journal.Begin(buf))
	for _, a := range arrivals {
		if a.encoded != nil {
			p.Bytes(a.encoded)
		}
	}
	return p
}

// decodeFrame decodes the arrivals in body, the content of journal frame p. The arrivals share the memory of body. It
// returns an error if an arrival is malformed, or if their number differs from the one in the frame's header.
func decodeFrame(p journal.Ref, body []byte) ([]store.Arrival, error) {
	u := packed.Reader{Rest: body}
	arrivals := make([]store.Arrival, 0, p.Arrivals)
	for len(u.Rest) > 0 && u.Err == nil {
		a, err := decodeArrival(u.View())
		if err != nil {
			return nil, fmt.Errorf("journal frame %d: %w", p.Seq, err)
		}
		arrivals = append(arrivals, a)
	}
	if u.Err != nil || len(arrivals) != p.Arrivals {
		return nil, fmt.Errorf("journal frame %d holds %d arrivals, not %d", p.Seq, len(arrivals), p.Arrivals)
	}
	return arrivals, nil
}

// truncateTime returns the arrival with its time in UTC, truncated to the millisecond: stores keep no finer times.
func truncateTime(a store.Arrival) store.Arrival {
	a.At = a.At.UTC().Truncate(time.Millisecond)
	return a
}
