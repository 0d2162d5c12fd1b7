package packed

import (
	"fmt"
	"maps"
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// batchFormat is the latest format of a batch row. Format 1 ends with the batch info. Format 2 adds Batch.WholeBatch,
// Batch.Fetch and BatchInfo.Groups. Format 3 adds BatchReport.Folded and Task.Limit, and format 4 Batch.Version. Both
// are written only if a field that they add is not zero.
const batchFormat = 4

// EncodeBatch returns the encoded row of a batch, without its recipients, in a new slice.
func EncodeBatch(b *store.Batch) []byte { return AppendBatch(make(Writer, 0, 256), b) }

// AppendBatch appends the encoded row of a batch to p and returns the extended Writer.
func AppendBatch(p Writer, b *store.Batch) Writer {
	format := formatOf(b)
	p.Byte(format)
	p.Text(b.Plan)
	p.Text(b.ID)
	p.Time(b.FirstAt)
	p.Time(b.LastAt)
	p.Text(b.ClientReference)
	p.Int(b.Total)
	p.Byte(byte(b.Flag))
	p.Bool(b.NeedsFullReport)
	p.Uint(uint64(len(b.States)))
	for _, s := range slices.Sorted(maps.Keys(b.States)) {
		p.status(s)
		p.Int(b.States[s])
	}
	p.Uint(uint64(len(b.Reported)))
	for _, r := range b.Reported {
		p.status(r.Status)
		p.Int(r.Code)
		p.Int(r.Named)
		p.Int(r.Claimed)
	}
	p.Uint(uint64(len(b.Reports)))
	for _, r := range b.Reports {
		p.Bytes(r.Key[:])
		p.Text(string(r.Type))
		p.Time(r.ReceivedAt)
		p.Byte(byte(r.Source))
		p.Uint(uint64(r.Repeats))
		p.ref(r.Ref)
	}
	p.Int(b.Feedback.Owed)
	p.Int(b.Feedback.Sent)
	p.Int(b.Feedback.Dead)
	p.task(b.Task)
	p.dead(b.Dead)
	p.batchInfo(b.Info)
	p.Byte(byte(b.WholeBatch))
	p.fetch(b.Fetch)
	if b.Info != nil {
		p.Int(b.Info.Groups)
	}
	if format >= 3 {
		p.folded(b.Reports)
		p.limit(b.Task)
	}
	if format >= 4 {
		p.Uint(uint64(b.Version))
	}
	return p
}

// formatOf returns the earliest format that can hold the batch, so that earlier versions of dlrloop can read the row.
func formatOf(b *store.Batch) byte {
	if b.Version > 0 {
		return batchFormat
	}
	for _, r := range b.Reports {
		if r.Folded > 0 {
			return batchFormat - 1
		}
	}
	if b.Task != nil && b.Task.Limit > 0 {
		return batchFormat - 1
	}
	return batchFormat - 2
}

// folded appends the field BatchReport.Folded of each report, in order.
func (p *Writer) folded(reports []store.BatchReport) {
	for _, r := range reports {
		p.Int(r.Folded)
	}
}

func (u *Reader) folded(reports []store.BatchReport) {
	for i := range reports {
		reports[i].Folded = u.Int()
	}
}

// DecodeBatch decodes the row of a batch in any format up to batchFormat. The error of a damaged row wraps ErrShort.
func DecodeBatch(row []byte) (*store.Batch, error) {
	u := Reader{Rest: row}
	format := u.Byte()
	if (format < rowFormat || format > batchFormat) && u.Err == nil {
		return nil, fmt.Errorf("batch: row has format %d, this version reads %d to %d", format, rowFormat, batchFormat)
	}
	b := new(store.Batch)
	b.Plan = u.Text()
	b.ID = u.Text()
	b.FirstAt = u.Time()
	b.LastAt = u.Time()
	b.ClientReference = u.Text()
	b.Total = u.Int()
	b.Flag = store.Flag(u.Byte())
	b.NeedsFullReport = u.Bool()
	if n := u.Length(); n > 0 {
		b.States = make(map[dlr.Status]int, n)
		for range n {
			s := u.status()
			b.States[s] = u.Int()
		}
	}
	for range u.Length() {
		b.Reported = append(b.Reported, u.reported())
	}
	for range u.Length() {
		b.Reports = append(b.Reports, u.report())
	}
	b.Feedback.Owed = u.Int()
	b.Feedback.Sent = u.Int()
	b.Feedback.Dead = u.Int()
	b.Task = u.task()
	b.Dead = u.dead()
	b.Info = u.batchInfo(b.ID)
	if format >= 2 {
		b.WholeBatch = store.FeedbackState(u.Byte())
		b.Fetch = u.fetch()
		if b.Info != nil {
			b.Info.Groups = u.Int()
		}
	}
	if format >= 3 {
		u.folded(b.Reports)
		u.limit(b.Task)
	}
	if format >= 4 {
		b.Version = int64(u.Uint())
	}
	if u.Err != nil {
		return nil, fmt.Errorf("batch: %w", u.Err)
	}
	return b, nil
}

func (u *Reader) reported() (r store.Reported) {
	r.Status = u.status()
	r.Code = u.Int()
	r.Named = u.Int()
	r.Claimed = u.Int()
	return r
}

func (u *Reader) report() (r store.BatchReport) {
	copy(r.Key[:], u.View())
	r.Type = dlr.Type(u.Text())
	r.ReceivedAt = u.Time()
	r.Source = store.Source(u.Byte())
	r.Repeats = int(u.Uint())
	r.Ref = u.ref()
	return r
}

func (p *Writer) task(t *store.Task) {
	if p.Bool(t != nil); t == nil {
		return
	}
	p.Time(t.Due)
	p.Time(t.Since)
	p.Int(t.Attempts)
	p.Text(string(t.Reason))
	p.Text(t.Detail)
}

func (u *Reader) task() *store.Task {
	if !u.Bool() {
		return nil
	}
	t := new(store.Task)
	t.Due = u.Time()
	t.Since = u.Time()
	t.Attempts = u.Int()
	t.Reason = store.Reason(u.Text())
	t.Detail = u.Text()
	return t
}

func (p *Writer) limit(t *store.Task) {
	if t != nil {
		p.Int(t.Limit)
	}
}

func (u *Reader) limit(t *store.Task) {
	if t != nil {
		t.Limit = u.Int()
	}
}

func (p *Writer) fetch(c *store.ReportFetch) {
	if p.Bool(c != nil); c == nil {
		return
	}
	p.Time(c.Due)
	p.Int(c.Attempts)
}

func (u *Reader) fetch() *store.ReportFetch {
	if !u.Bool() {
		return nil
	}
	c := new(store.ReportFetch)
	c.Due = u.Time()
	c.Attempts = u.Int()
	return c
}

func (p *Writer) dead(d *store.Dead) {
	if p.Bool(d != nil); d == nil {
		return
	}
	p.Time(d.At)
	p.Text(string(d.Reason))
	p.Text(d.Detail)
	p.Bool(d.FullReport)
}

func (u *Reader) dead() *store.Dead {
	if !u.Bool() {
		return nil
	}
	d := new(store.Dead)
	d.At = u.Time()
	d.Reason = store.Reason(u.Text())
	d.Detail = u.Text()
	d.FullReport = u.Bool()
	return d
}

func (p *Writer) batchInfo(f *store.BatchInfo) {
	if p.Bool(f != nil); f == nil {
		return
	}
	p.Bool(f.Unknown)
	p.Bool(f.FeedbackEnabled)
	p.Text(f.ReportKind)
	p.Text(f.ClientReference)
	p.Int(f.Recipients)
	p.Bool(f.Canceled)
	p.Time(f.CreatedAt)
	p.Time(f.ModifiedAt)
	p.Time(f.SendAt)
	p.Time(f.ExpireAt)
	p.Byte(byte(f.Source))
}

func (u *Reader) batchInfo(batchID string) *store.BatchInfo {
	if !u.Bool() {
		return nil
	}
	f := &store.BatchInfo{BatchID: batchID}
	f.Unknown = u.Bool()
	f.FeedbackEnabled = u.Bool()
	f.ReportKind = u.Text()
	f.ClientReference = u.Text()
	f.Recipients = u.Int()
	f.Canceled = u.Bool()
	f.CreatedAt = u.Time()
	f.ModifiedAt = u.Time()
	f.SendAt = u.Time()
	f.ExpireAt = u.Time()
	f.Source = store.Source(u.Byte())
	return f
}
