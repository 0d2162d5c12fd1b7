package pgstore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dlrloop/dlrloop/store"
)

// recipientsList is the list name in page cursors of a batch's recipients. Such a cursor contains the stored digits of
// a recipient. It is invalid if they contain NUL, which PostgreSQL cannot store.
const recipientsList = "recipients"

// position is the decoded form of a page cursor: the sort key of the last entry of the previous page. Each list uses
// only some of the fields. The zero value is the start of a list.
type position struct {
	List  string     `json:"l"`           // name of the list
	At    *time.Time `json:"t,omitempty"` // nil in a list that is not ordered by time
	Plan  string     `json:"p,omitempty"`
	ID    string     `json:"i,omitempty"` // batch id, recipient digits or id of the quarantine entry
	Chunk int64      `json:"c,omitempty"`
	Place int64      `json:"n,omitempty"`
}

// encode returns p as a page cursor: JSON in base64url.
func (p position) encode() string {
	encoded, err := json.Marshal(p)
	if err != nil {
		return "" // the time is out of range, which no stored time is
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// decodeCursor decodes a page cursor of the list with the name list. An empty cursor yields the zero position, the
// start of the list. If the cursor is malformed or belongs to another list, the error wraps store.ErrCursor.
func decodeCursor(list, cursor string) (p position, err error) {
	if cursor == "" {
		return p, nil
	}
	encoded, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(encoded))
		d.DisallowUnknownFields()
		err = d.Decode(&p)
	}
	if err != nil || p.List != list || list == recipientsList && strings.Contains(p.ID, "\x00") {
		return p, fmt.Errorf("%w: %.60q", store.ErrCursor, cursor)
	}
	return p, nil
}

// before returns the upper time limit of a page that lists the latest rows first: p.At, or infinity for the first page.
func (p position) before() pgtype.Timestamptz { return p.time(pgtype.Infinity) }

// after returns the lower time limit of a page that lists the earliest rows first: p.At, or -infinity for the first
// page.
func (p position) after() pgtype.Timestamptz { return p.time(pgtype.NegativeInfinity) }

// time returns p.At as a query argument, or start (infinity or -infinity) if p.At is nil.
func (p position) time(start pgtype.InfinityModifier) pgtype.Timestamptz {
	if p.At == nil {
		return pgtype.Timestamptz{InfinityModifier: start, Valid: true}
	}
	return pgtype.Timestamptz{Time: *p.At, Valid: true}
}
