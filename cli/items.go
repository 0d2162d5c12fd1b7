package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"

	"github.com/dlrloop/dlrloop/dlr"
)

// item is one entry of a list of the private API: value is the decoded entry, and raw is its JSON as received.
type item[T any] struct {
	value T
	raw   json.RawMessage
}

// items iterates over a list of the private API, which it requests page by page. After an error it yields the error and
// stops. It changes query to request the next page, so the caller must not use query again.
func items[T any](ctx context.Context, a *api, path string, query url.Values) iter.Seq2[item[T], error] {
	return func(yield func(item[T], error) bool) {
		for {
			var page struct {
				Items []json.RawMessage `json:"items"`
				Next  string            `json:"next_cursor"`
			}
			if err := a.get(ctx, path+"?"+query.Encode(), &page); err != nil {
				yield(item[T]{}, err)
				return
			}
			for _, raw := range page.Items {
				i := item[T]{raw: raw}
				if err := dlr.UnmarshalExact(raw, &i.value); err != nil {
					yield(item[T]{}, fmt.Errorf("%s does not answer as dlrloop does: %w", a.base, err))
					return
				}
				if !yield(i, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}
