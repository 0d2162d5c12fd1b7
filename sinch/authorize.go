package sinch

import (
	"context"
	"net/http"
	"strings"
)

// Endpoint returns the URL that begins the URLs of all calls, such as https://eu.sms.api.sinch.com/xms/v1/PLAN, without
// a trailing slash. It needs no credentials. An error names the field of c that is wrong or missing.
func (c Config) Endpoint() (string, error) { return c.base() }

// Authorize sets the Authorization header of r to the client's bearer token, in place of any other. A client with a
// Project may have to fetch the token first, for at most Config.Timeout. If it cannot, Authorize returns an error.
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

// Refused tells the client that Sinch refused r, a request with a token from Authorize. answer is Sinch's response: if
// it says that the token has expired, the client fetches a new token before its next call.
func (c *Client) Refused(ctx context.Context, r *http.Request, answer *http.Response) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.credentials.renew(ctx, token, answer)
}
