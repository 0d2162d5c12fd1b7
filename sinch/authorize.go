package sinch

import (
	"context"
	"net/http"
	"strings"
)

// Endpoint returns the URL of the plan's API: origin and path including the plan's segment, without a trailing slash.
// It needs no credentials.
func (c Config) Endpoint() (string, error) { return c.base() }

// Authorize replaces the Authorization header of r with the client's own credentials. With a Project it may fetch a
// token first, and blocks for at most Config.Timeout. An error then means that there is no token.
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

// Refused tells the client that Sinch refused a request. Pass the request r that Authorize changed, and Sinch's answer.
// If the answer says that the token has expired, the client drops the token and fetches a new one for its next call.
func (c *Client) Refused(ctx context.Context, r *http.Request, answer *http.Response) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.credentials.renew(ctx, token, answer)
}
