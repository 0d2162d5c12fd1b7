package sinch

import (
	"context"
	"net/http"
	"strings"
)

// Endpoint is where the plan's API is: the origin and the path up to and with the plan's segment, without a slash at the end.
// It needs no credentials.
func (c Config) Endpoint() (string, error) { return c.base() }

// Authorize gives r the client's own credentials in place of any it has. A project's token may have to be fetched first; an
// error is like that of any operation.
func (c *Client) Authorize(ctx context.Context, r *http.Request) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.credentials.token(ctx)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// Refused tells the client how a request was answered that it authorized. A token that had expired is not used again.
func (c *Client) Refused(ctx context.Context, r *http.Request, answer *http.Response) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.credentials.renew(ctx, token, answer)
}
