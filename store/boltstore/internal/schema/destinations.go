package schema

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// destinationFormat is the first byte of the content of a row in BucketDestinations.
const destinationFormat = 1

// longestName is the length in bytes up to which a key holds the name of a destination. A longer one is hashed.
const longestName = 200

// DestinationKey returns the key of a destination in BucketDestinations, in a new slice.
func DestinationKey(name string) []byte { return AppendPart(nil, name, longestName) }

// SealDestination returns the sealed row of d, to be stored in BucketDestinations under key.
func SealDestination(key []byte, d *store.Destination) []byte {
	p := Unsealed(len(d.Name) + len(d.Cursor) + 48)
	p.Byte(destinationFormat)
	p.Text(d.Name)
	p.Text(d.Cursor)
	p.Int(int(d.Epoch))
	p.Time(d.PausedAt)
	p.Int(int(d.LastID))
	p.Int(d.Deferred)
	p.Int(d.Dead)
	return Seal(BucketDestinations, key, p)
}

// DecodeDestination decodes row, the value under key in BucketDestinations. A damaged row is a *DamageError.
func DecodeDestination(key, row []byte) (d store.Destination, err error) {
	content, err := Unseal(BucketDestinations, key, row)
	if err != nil {
		return d, err
	}
	u := packed.Reader{Rest: content}
	if format := u.Byte(); format != destinationFormat && u.Err == nil {
		return d, Damage(BucketDestinations, key,
			fmt.Errorf("destination: row has format %d, this version reads format %d", format, destinationFormat))
	}
	d.Name = u.Text()
	d.Cursor = u.Text()
	d.Epoch = int64(u.Int())
	d.PausedAt = u.Time()
	d.LastID = int64(u.Int())
	d.Deferred = u.Int()
	d.Dead = u.Int()
	if u.Err != nil {
		return d, Damage(BucketDestinations, key, fmt.Errorf("destination: %w", u.Err))
	}
	return d, nil
}

// DeferredPrefix returns the common prefix of the keys in BucketDeferred of the deferred or, if dead is set, the dead
// events of the destination with this key in BucketDestinations.
func DeferredPrefix(destination []byte, dead bool) []byte {
	state := byte(0)
	if dead {
		state = 1
	}
	key := make([]byte, 0, len(destination)+10)
	return append(append(append(key, byte(len(destination))), destination...), state)
}

// DeferredKey returns the key of a deferred or dead event in BucketDeferred, in a new slice. destination is the key of
// its destination in BucketDestinations.
func DeferredKey(destination []byte, dead bool, id int64) []byte {
	return binary.BigEndian.AppendUint64(DeferredPrefix(destination, dead), uint64(id))
}

// DestinationOf returns the part of a key of BucketDeferred that is the key of the destination in BucketDestinations.
// It returns nil if key is too short.
func DestinationOf(key []byte) []byte {
	if len(key) == 0 || len(key) != 1+int(key[0])+9 {
		return nil
	}
	return key[1 : 1+int(key[0])]
}

// SealDeferred returns the sealed row of d, to be stored in BucketDeferred under key.
func SealDeferred(key []byte, d *store.DeferredEvent) []byte {
	return Seal(BucketDeferred, key, packed.AppendDeferred(Unsealed(EventBytes(&d.Event)+len(d.Detail)+48), d))
}

// DecodeDeferred decodes row, the value under key in BucketDeferred. The event does not share the memory of row. A
// damaged row is a *DamageError.
func DecodeDeferred(key, row []byte) (d store.DeferredEvent, err error) {
	content, err := Unseal(BucketDeferred, key, row)
	if err != nil {
		return d, err
	}
	if DestinationOf(key) == nil {
		return d, Damage(BucketDeferred, key, errors.New("deferred event: its key has the wrong length"))
	}
	id := int64(binary.BigEndian.Uint64(key[len(key)-8:]))
	d, err = packed.DecodeDeferred(append([]byte(nil), content...), id)
	if err == nil && d.Dead != (key[len(key)-9] == 1) {
		err = errors.New("deferred event: key and row disagree")
	}
	if err != nil {
		return d, Damage(BucketDeferred, key, err)
	}
	return d, nil
}
