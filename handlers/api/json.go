package api

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/store"
)

// instant is a time that encodes to JSON in RFC 3339 and UTC, always with milliseconds. A struct field with the JSON
// option omitzero is left out if its time is zero.
type instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000Z07:00"

func (i instant) MarshalJSON() ([]byte, error) {
	return []byte(i.UTC().Format(`"` + instantLayout + `"`)), nil
}

// rawBytes holds the body of one of Sinch's callbacks in an answer of the API: in Raw if it is valid JSON in UTF-8,
// else in Base64. Both are empty if the store did not keep the body.
type rawBytes struct {
	Raw    json.RawMessage `json:"raw,omitempty"`
	Base64 []byte          `json:"raw_base64,omitempty"`
}

// showRaw converts the body of a callback for an answer of the API. It sets Raw if the body is valid JSON in UTF-8,
// else Base64. The result shares the bytes of b.
func showRaw(b []byte) rawBytes {
	if utf8.Valid(b) && json.Valid(b) {
		return rawBytes{Raw: b}
	}
	return rawBytes{Base64: b}
}

// pageView is the JSON of one page of a list. To get the next page, the client sends NextCursor as the query parameter
// cursor. NextCursor is empty on the last page.
type pageView[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

func viewPage[T, V any](p store.Page[T], view func(T) V) pageView[V] {
	return pageView[V]{Items: viewAll(p.Items, view), NextCursor: p.Next}
}

// viewAll calls view for each item and returns the results. The slice is never nil, so that JSON shows an empty list as
// [] and not as null.
func viewAll[T, V any](items []T, view func(T) V) []V {
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return views
}
