package schema

import (
	"fmt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// quarantineFormat is the first byte of the content of a row in BucketQuarantine. A row that begins with another byte
// has a format that this version cannot read.
const quarantineFormat = 1

// SealQuarantined encodes a quarantined callback as a row with a checksum, to be stored in BucketQuarantine under key.
// The row takes the plan and the time from the arrival a and everything else from q.
func SealQuarantined(key []byte, a store.Arrival, q store.Quarantined) []byte {
	p := Unsealed(len(q.Raw) + len(a.Plan) + 64)
	p.Byte(quarantineFormat)
	p.Text(a.Plan)
	p.Time(a.At)
	p.Text(string(q.Reason))
	p.Text(string(q.Type))
	p.Bytes(q.Raw)
	return Seal(BucketQuarantine, key, p)
}

// DecodeQuarantined decodes row, the value under key in BucketQuarantine. The entry's Raw is a copy. DecodeQuarantined
// returns a *DamageError if row is damaged.
func DecodeQuarantined(key, row []byte) (store.QuarantineEntry, error) {
	content, err := Unseal(BucketQuarantine, key, row)
	if err != nil {
		return store.QuarantineEntry{}, err
	}
	u := packed.Reader{Rest: content}
	if format := u.Byte(); format != quarantineFormat && u.Err == nil {
		return store.QuarantineEntry{}, Damage(BucketQuarantine, key,
			fmt.Errorf("quarantine: row has format %d, this version reads format %d", format, quarantineFormat))
	}
	var e store.QuarantineEntry
	e.Plan = u.Text()
	e.ReceivedAt = u.Time()
	e.Reason = dlr.Reason(u.Text())
	e.Type = dlr.Type(u.Text())
	e.Raw = []byte(u.Text())
	if u.Err != nil {
		return e, Damage(BucketQuarantine, key, fmt.Errorf("quarantine: %w", u.Err))
	}
	return e, nil
}
