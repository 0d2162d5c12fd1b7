package api

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/store"
)

// instant is a time in the JSON of an answer: RFC 3339 in UTC, always with milliseconds.
type instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000Z07:00"

func (i instant) MarshalJSON() ([]byte, error) {
	return []byte(i.UTC().Format(`"` + instantLayout + `"`)), nil
}

// rawBytes shows the body of a callback in an answer: as Raw if it is valid JSON, else as Base64. Neither is shown if
// the body was not kept.
type rawBytes struct {
	Raw    json.RawMessage `json:"raw,omitempty"`
	Base64 []byte          `json:"raw_base64,omitempty"`
}

// showRaw returns b, the body of a callback, as it is shown in answers. It does not copy b. Raw requires valid UTF-8,
// too: encoding/json accepts any bytes within a string, but other parsers do not.
func showRaw(b []byte) rawBytes {
	if utf8.Valid(b) && json.Valid(b) {
		return rawBytes{Raw: b}
	}
	return rawBytes{Base64: b}
}

// pageView is one page of a list in an answer. NextCursor is empty on the last page.
type pageView[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

func viewPage[T, V any](p store.Page[T], view func(T) V) pageView[V] {
	return pageView[V]{Items: viewAll(p.Items, view), NextCursor: p.Next}
}

// viewAll converts each item with the function view. It never returns nil, so that an empty list is encoded as [].
func viewAll[T, V any](items []T, view func(T) V) []V {
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return views
}
