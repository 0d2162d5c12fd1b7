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

// recipientsList is the list whose cursors have an id as it is kept: never with a NUL.
const recipientsList = "recipients"

// place is where a page ended: the key of its last entry in the order of its list.
type place struct {
	List  string     `json:"l"`
	At    *time.Time `json:"t,omitempty"`
	Plan  string     `json:"p,omitempty"`
	ID    string     `json:"i,omitempty"` // of the batch, the digits or the quarantine entry
	Chunk int64      `json:"c,omitempty"`
	Place int64      `json:"n,omitempty"`
}

func (p place) encode() string {
	encoded, err := json.Marshal(p)
	if err != nil {
		return "" // a time that no row has
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// decodePlace reads the cursor of a list; none is the place before all.
func decodePlace(list, cursor string) (p place, err error) {
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

// before is the time of the place in a list of the latest first.
func (p place) before() pgtype.Timestamptz { return p.time(pgtype.Infinity) }

// after is the time of the place in a list of the earliest first.
func (p place) after() pgtype.Timestamptz { return p.time(pgtype.NegativeInfinity) }

func (p place) time(none pgtype.InfinityModifier) pgtype.Timestamptz {
	if p.At == nil {
		return pgtype.Timestamptz{InfinityModifier: none, Valid: true}
	}
	return pgtype.Timestamptz{Time: *p.At, Valid: true}
}
