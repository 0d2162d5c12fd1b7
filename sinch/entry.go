package sinch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dlrloop/dlrloop/dlr"
)

// EntryError means that Client.Batches or Client.Reports could not decode one entry of a list, and continues after it.
type EntryError struct {
	Operation Operation
	Page      int    // from 1
	Index     int    // within the page, from 1
	BatchID   string // id of the batch in the entry, at most 64 characters; empty if the entry names none
	Err       error
}

func (e *EntryError) Error() string {
	about := ""
	if e.BatchID != "" {
		about = fmt.Sprintf(" (batch %s)", e.BatchID)
	}
	return fmt.Sprintf("sinch: %s: entry %d of page %d%s: %s", e.Operation, e.Index, e.Page, about, e.Err)
}

func (e *EntryError) Unwrap() error { return e.Err }

// batchOf returns the batch id in an entry of a list, masked and shortened for logs, or "" if the entry has no id.
func (c *Client) batchOf(raw json.RawMessage) string {
	m, err := parseMembers(raw)
	if err != nil {
		return ""
	}
	for _, name := range []string{"id", "batch_id"} {
		if id := m.text(name); id != "" {
			return Clean(id, maxCode, c.secrets)
		}
	}
	return ""
}

var (
	errNoID   = errors.New("the entry has no id")
	errLongID = fmt.Errorf("the id has more than %d bytes", dlr.MaxBatchID)
)

// checkID returns an error if an id cannot be used in a call: it is blank, too long, "." or "..".
func checkID(id string) error {
	if strings.TrimSpace(id) == "" {
		return errNoID
	}
	if len(id) > dlr.MaxBatchID {
		return errLongID
	}
	_, err := escape(id)
	return err
}
