package api

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/store"
)

// instant is a time that JSON shows in RFC 3339 and UTC, always with milliseconds.
type instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000Z07:00"

func (i instant) MarshalJSON() ([]byte, error) {
	return []byte(i.UTC().Format(`"` + instantLayout + `"`)), nil
}

// rawBytes is the body of a callback as an answer shows it: in Raw if it is valid JSON, else in Base64. Both fields are
// empty if the store did not keep the body.
type rawBytes struct {
	Raw    json.RawMessage `json:"raw,omitempty"`
	Base64 []byte          `json:"raw_base64,omitempty"`
}

// showRaw converts the body of a callback for an answer, without copying it. It sets Raw only if the body is also valid
// UTF-8, because some JSON parsers accept nothing else.
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

// viewAll converts each item with the function view. The result is never nil, so that JSON shows an empty list as [].
func viewAll[T, V any](items []T, view func(T) V) []V {
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return views
}
