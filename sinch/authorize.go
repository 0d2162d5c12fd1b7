package sinch

import (
	"context"
	"net/http"
	"strings"
)

// Endpoint returns the base URL of all calls, such as https://eu.sms.api.sinch.com/xms/v1/PLAN, without a trailing
// slash. It does not check the credentials. An error names the config field that is wrong or missing.
func (c Config) Endpoint() (string, error) { return c.base() }

// Authorize sets the Authorization header of r to the client's bearer token. If it must first fetch a token, that takes
// at most Config.Timeout. If no token can be fetched, it returns an error.
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

// Refused must be called when Sinch refuses r, a request with a token from Authorize. If the answer says that the token
// has expired, the client fetches a new token before its next call.
func (c *Client) Refused(ctx context.Context, r *http.Request, answer *http.Response) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.credentials.renew(ctx, token, answer)
}
