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

// These bytes say what kind of thing was recorded, such as a report. Journals on disk hold them, so never change a
// value.
const (
	kindReport byte = iota + 1
	kindQuarantined
	kindBatchInfo
	kindConfirmation
	kindSettlement
	kindRequeue
	kindReportFetched
	kindInbound
	// kindSigned precedes the signature of a callback. The arrival itself follows, beginning with its own kind.
	kindSigned
)

// encodeArrival encodes an arrival (something recorded, such as a report) for the journal. Raw bytes that dlrloop
// received come last.
func encodeArrival(a store.Arrival) ([]byte, error) {
	var p packed.Writer
	head := func(kind byte, room int) {
		if g := a.Signature; g != nil {
			room += len(g.Algorithm) + len(g.Nonce) + len(g.Timestamp) + len(g.Value) + 8
		}
		p = make(packed.Writer, 0, room+len(a.Plan)+24)
		if a.Signature != nil {
			p.Byte(kindSigned)
			p.Signature(a.Signature)
		}
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

// own makes an arrival (something recorded) refer to the raw bytes at the end of encoded, its journal encoding. The
// caller of Record may then reuse its own buffer.
func own(a store.Arrival, encoded []byte) store.Arrival {
	if raw := a.Entry.RawBytes(); len(raw) > 0 {
		a.Entry = a.Entry.WithRaw(encoded[len(encoded)-len(raw):])
	}
	return a
}

// decodeArrival reverses encodeArrival. The result shares the memory of encoded. A report or an inbound message that
// cannot be parsed becomes a store.Quarantined, which keeps the raw bytes.
func decodeArrival(encoded []byte) (store.Arrival, error) {
	u := packed.Reader{Rest: encoded}
	var a store.Arrival
	kind := u.Byte()
	if kind == kindSigned {
		a.Signature = u.Signature()
		kind = u.Byte()
	}
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

// decodeBody parses the JSON of one report or inbound message. The result shares the memory of raw. If the JSON cannot
// be parsed, it is a store.Quarantined. source says how dlrloop obtained a report.
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

// encodedInfo is the JSON in the journal for a store.BatchInfo or, if FetchNow is true, for a store.FetchNow. In the
// JSON, FetchNow has its older name, CheckNow.
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

// encodeFrame encodes arrivals (such as reports) as one journal frame, which is written and synced as a whole. It
// reuses buf if that is large enough. journal.Append fills in the frame's header later.
func encodeFrame(buf []byte, arrivals []recorded) []byte {
	p := packed.Writer(journal.Begin(buf))
	for _, a := range arrivals {
		if a.encoded != nil {
			p.Bytes(a.encoded)
		}
	}
	return p
}

// decodeFrame decodes the arrivals (such as reports) of one journal frame. They share the memory of body, the frame's
// content. It returns an error if an arrival is malformed, or if their number is not p.Arrivals.
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

// truncateTime returns the arrival (something recorded) with its time in UTC, truncated to the millisecond.
func truncateTime(a store.Arrival) store.Arrival {
	a.At = a.At.UTC().Truncate(time.Millisecond)
	return a
}
