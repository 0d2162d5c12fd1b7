package handlers

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/store"
)

// instant is a time as the API writes it: RFC 3339, UTC, with milliseconds always. It is left out where it is zero.
type instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000Z07:00"

// MarshalJSON writes the time as a JSON string.
func (i instant) MarshalJSON() ([]byte, error) {
	return []byte(i.UTC().Format(`"` + instantLayout + `"`)), nil
}

// rawBytes are a callback's bytes in an answer: as JSON where they are JSON, else in base64. Neither is there when nothing
// was kept.
type rawBytes struct {
	Raw    json.RawMessage `json:"raw,omitempty"`
	Base64 []byte          `json:"raw_base64,omitempty"`
}

// showRaw asks for valid UTF-8 too: encoding/json lets anything stand within a string, other readers do not.
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

// viewPage shows each item of a page.
func viewPage[T, V any](p store.Page[T], view func(T) V) pageView[V] {
	return pageView[V]{Items: viewAll(p.Items, view), NextCursor: p.Next}
}

// viewAll never returns nil: an empty list is [] in an answer.
func viewAll[T, V any](items []T, view func(T) V) []V {
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return views
}
