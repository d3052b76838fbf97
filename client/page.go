package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
)

// page is a page of a list.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// pageSize is the most that the server puts on a page.
const pageSize = 500

// list goes through all pages of a list, and asks for each when it is reached. It ends with the first
// error.
func list[T any](ctx context.Context, c *Client, r request) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for name, values := range r.query {
			query[name] = values
		}
		for {
			var p page[T]
			if _, err := c.call(ctx, r.with(query), &p); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			query.Set("cursor", p.NextCursor)
		}
	}
}

// values makes a query of pairs of names and values, without those that are empty.
func values(pairs ...string) url.Values {
	query := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}
