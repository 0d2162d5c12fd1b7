package sinch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// EntryError says that one entry of a list cannot be read. The list goes on after it.
type EntryError struct {
	Operation Operation
	Page      int    // counted from 1
	Index     int    // within the page, counted from 1
	BatchID   string // of the batch that it is about, cut to 64 characters; empty where it names none
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

// batchOf is the id of the batch that an entry is about, as people may see it.
func (c *Client) batchOf(raw json.RawMessage) string {
	m, err := parseMembers(raw)
	if err != nil {
		return ""
	}
	for _, name := range []string{"id", "batch_id"} {
		if id := m.text(name); id != "" {
			return clean(id, maxCode, c.secrets)
		}
	}
	return ""
}

// maxBatchID bounds the id of a listed batch, in bytes, as dlr bounds that of a report.
const maxBatchID = 255

var (
	errNoID   = errors.New("it has no id")
	errLongID = fmt.Errorf("its id has more than %d bytes", maxBatchID)
)

// checkID refuses an id that nothing can be asked about.
func checkID(id string) error {
	if strings.TrimSpace(id) == "" {
		return errNoID
	}
	if len(id) > maxBatchID {
		return errLongID
	}
	_, err := escape(id)
	return err
}
