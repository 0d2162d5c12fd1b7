package api

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/store"
)

// instant is a time in an answer of the API: RFC 3339 in UTC, always with milliseconds.
type instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000Z07:00"

// MarshalJSON returns the time as a JSON string.
func (i instant) MarshalJSON() ([]byte, error) {
	return []byte(i.UTC().Format(`"` + instantLayout + `"`)), nil
}

// rawBytes holds the bytes of a callback: in Raw if they are valid JSON, else in Base64. Both are left out if no bytes
// were kept.
type rawBytes struct {
	Raw    json.RawMessage `json:"raw,omitempty"`
	Base64 []byte          `json:"raw_base64,omitempty"`
}

// showRaw returns the view of b, the body of a callback, without copying b. Besides valid JSON it requires valid
// UTF-8: encoding/json accepts any bytes within a string, other parsers do not.
func showRaw(b []byte) rawBytes {
	if utf8.Valid(b) && json.Valid(b) {
		return rawBytes{Raw: b}
	}
	return rawBytes{Base64: b}
}

// pageView is one page of a list.
type pageView[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// viewPage converts each item of p with view, and keeps the cursor.
func viewPage[T, V any](p store.Page[T], view func(T) V) pageView[V] {
	return pageView[V]{Items: viewAll(p.Items, view), NextCursor: p.Next}
}

// viewAll converts each item with view. It never returns nil, so that an empty list is encoded as [].
func viewAll[T, V any](items []T, view func(T) V) []V {
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return views
}
