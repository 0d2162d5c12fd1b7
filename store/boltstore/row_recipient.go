package boltstore

import (
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// rowFormat begins the row of a quarantined callback, so that a later one can be told apart.
const rowFormat = 1

// encodeRecipient packs the row of a recipient, whose key has its digits unless they are hashed.
func encodeRecipient(r *store.Recipient) []byte {
	digits := dlr.Digits(r.Number)
	if hashed(digits, maxDigits) {
		digits = ""
	}
	return packed.EncodeRecipient(r, digits)
}
