package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"

	"github.com/dlrloop/dlrloop/dlr"
)

// item is one item of a list of the private API: decoded, and as received.
type item[T any] struct {
	value T
	raw   json.RawMessage
}

// items iterates over the items of a list of the private API, page by page. It stops at the first error.
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
