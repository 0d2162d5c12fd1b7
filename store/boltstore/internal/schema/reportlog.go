package schema

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// dictionary is the zstd dictionary of the report log: text that most reports share, so that a chunk with a single
// report is small too. The dictionary is part of the format: a chunk can only be decompressed with the dictionary that
// compressed it.
const dictionary = `{"type":"delivery_report_sms","batch_id":"01","total_message_count":1000,"statuses":[{"code":0,` +
	`"status":"Delivered","count":1,"recipients":["+1","447","461","491","331"]},` +
	`{"code":407,"status":"Cancelled","count":1},{"code":402,"status":"Aborted"},{"code":400,"status":"Queued"},` +
	`{"status":"Unknown"},{"status":"Deleted"}],"client_reference":"",` +
	`{"type":"recipient_delivery_report_mms","batch_id":"01","recipient":"+1","code":401,"status":"Dispatched",` +
	`"at":"2026-01-01T00:00:00.000Z","client_reference":"",` +
	`"applied_originator":"","encoding":"GSM","number_of_message_parts":1,"operator":"310260","status":"Failed",` +
	`"status":"Rejected","code":153,"status":"Expired",` +
	`{"at":"2026-01-01T00:00:00.000Z","batch_id":"01","client_reference":"","code":0,` +
	`"operator_status_at":"2026-01-01T00:00:00Z","recipient":"","status":"Delivered",` +
	`"type":"recipient_delivery_report_sms"}`

const dictionaryID = 1

// maxChunk is the maximum size of a decompressed chunk in bytes. It bounds the memory that a damaged chunk can use.
const maxChunk = 1 << 30

// maxPlain is the capacity in bytes up to which a Compressor keeps its buffer for the next chunk.
const maxPlain = 1 << 20

// Compressor encodes chunks of the report log and compresses them with zstd. A chunk holds the raw reports that one
// transaction of the fold adds to one batch. A Compressor must not be used concurrently.
type Compressor struct {
	*zstd.Encoder
	plain packed.Writer // buffer for one chunk
}

// NewCompressor returns a Compressor for chunks of the report log. It fails only if zstd rejects the options.
func NewCompressor() (*Compressor, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderDictRaw(dictionaryID, []byte(dictionary)))
	return &Compressor{Encoder: e}, err
}

// NewDecompressor returns the zstd decoder that Unpack, EventRow.Events and Sound need. The decoder may be used
// concurrently; the caller closes it.
func NewDecompressor() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxChunk),
		zstd.WithDecoderDictRaw(dictionaryID, []byte(dictionary)),
		zstd.WithDecoderDictRaw(eventDictionaryID, []byte(eventDictionary)))
}

// Pack compresses reports into one row with a checksum, to be stored in BucketLog under key. The row is a new slice,
// and the Compressor keeps no reference to reports.
func (c *Compressor) Pack(key []byte, reports []store.Logged) []byte {
	p := c.plain[:0]
	p.Uint(uint64(len(reports)))
	for _, r := range reports {
		p.Time(r.ReceivedAt)
		p.Text(string(r.Type))
		p.Byte(byte(r.Source))
		p.Bytes(r.Raw)
	}
	if c.plain = p; cap(p) > maxPlain {
		c.plain = nil
	}
	return Seal(BucketLog, key, c.EncodeAll(p, Unsealed(len(p)/4+64)))
}

// Unpack returns the reports in row, the value under key in BucketLog. The decoder comes from NewDecompressor. The raw
// bytes of the reports share one new buffer, not the memory of row. A damaged row is a *DamageError.
func Unpack(d *zstd.Decoder, key, row []byte) ([]store.Logged, error) {
	chunk, err := Unseal(BucketLog, key, row)
	if err != nil {
		return nil, err
	}
	plain, err := d.DecodeAll(chunk, nil)
	if err != nil {
		return nil, Damage(BucketLog, key, fmt.Errorf("report log: %w", err))
	}
	u := packed.Reader{Rest: plain}
	reports := make([]store.Logged, u.Length())
	for i := range reports {
		r := &reports[i]
		r.ReceivedAt = u.Time()
		r.Type = dlr.Type(u.Text())
		r.Source = store.Source(u.Byte())
		r.Raw = u.View()
	}
	if u.Err != nil {
		return nil, Damage(BucketLog, key, fmt.Errorf("report log: %w", u.Err))
	}
	return reports, nil
}
