package schema

import (
	"fmt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// quarantineFormat is the first byte of a quarantine row, so that a later version can change the format.
const quarantineFormat = 1

// SealQuarantined returns the sealed row of a quarantined callback.
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

// DecodeQuarantined decodes a row of bucket quarantine. A damaged row is a *DamageError.
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
