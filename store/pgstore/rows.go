package pgstore

import (
	"encoding/json"
	"fmt"

	"github.com/dlrloop/dlrloop/store"
)

// encode is a row's JSON.
func encode(row any) ([]byte, error) {
	encoded, err := json.Marshal(row)
	if err != nil {
		return nil, unfitError{fmt.Errorf("encode row: %w", err)}
	}
	return encoded, nil
}

func decodeBatch(row []byte) (*store.Batch, error) {
	b := new(store.Batch)
	if err := json.Unmarshal(row, b); err != nil {
		return nil, fmt.Errorf("row of a batch: %w", err)
	}
	return b, nil
}

func decodeRecipient(row []byte) (*store.Recipient, error) {
	r := new(store.Recipient)
	if err := json.Unmarshal(row, r); err != nil {
		return nil, fmt.Errorf("row of a recipient: %w", err)
	}
	return r, nil
}
