package pgstore

import (
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// decodeRecipient reads the row of a recipient whose key has these digits, as they are kept.
func decodeRecipient(row []byte, digits string) (*store.Recipient, error) {
	r, err := packed.DecodeRecipient(row, plain(digits))
	return &r, err
}
