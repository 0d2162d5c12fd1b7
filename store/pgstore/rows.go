package pgstore

import (
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// decodeRecipient decodes column row of a recipient. digits is its escaped key.
func decodeRecipient(row []byte, digits string) (*store.Recipient, error) {
	r, err := packed.DecodeRecipient(row, unescape(digits))
	return &r, err
}
