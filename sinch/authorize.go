package sinch

import (
	"context"
	"net/http"
	"strings"
)

// Endpoint returns the URL of the plan's API: origin and path including the plan's segment, without a trailing slash.
// It needs no credentials.
func (c Config) Endpoint() (string, error) { return c.base() }

// Authorize replaces the Authorization header of r with the client's own credentials. It may have to fetch a project's
// token first; its errors are those of FetchToken.
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

// Refused reports to the client how Sinch answered a request that Authorize authorized. If the answer says that the
// token has expired, the client fetches a new one for its next call.
func (c *Client) Refused(ctx context.Context, r *http.Request, answer *http.Response) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.credentials.renew(ctx, token, answer)
}
