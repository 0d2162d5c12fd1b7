package sinch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// call describes one request to Sinch.
type call struct {
	operation Operation
	method    string
	path      string // below the plan's segment; escaped, with the query
	body      any    // marshaled as JSON; nil means no body
	read      bool   // the body of a success is needed
}

// answer is an HTTP answer of Sinch and the part of its body that was read.
type answer struct {
	*http.Response
	body []byte
	err  error // why body is incomplete; nil if it is complete
}

func (a answer) success() bool { return a.StatusCode >= 200 && a.StatusCode <= 299 }

// do makes a call, which takes at most Config.Timeout. If Sinch answers that the token has expired, do repeats the call
// once with a new token. If the answer is not a success of Sinch's API, the error is an *Error.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return answer{}, failed(k.operation, err)
		}
	}
	if int64(len(body)) > c.maxRequest {
		return answer{}, failed(k.operation, requestRule(c.maxRequest))
	}
	token, err := c.credentials.token(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := c.exchange(ctx, k, body, token)
	if err == nil && c.credentials.renew(ctx, token, a.Response) {
		if token, err = c.credentials.token(ctx); err != nil {
			return answer{}, err
		}
		a, err = c.exchange(ctx, k, body, token)
	}
	if err != nil {
		return answer{}, failed(k.operation, err)
	}
	if a.success() && !isPage(a.Response, a.body) {
		return a, nil
	}
	e := newError(k.operation, a.Response, a.body, append([]string{token}, c.secrets...))
	if a.success() {
		e.Text, e.Err = errPage.Error(), errPage
	}
	return answer{}, e
}

// exchange sends one request and reads the answer, whatever its status. It returns an error only if no answer arrives.
func (c *Client) exchange(ctx context.Context, k call, body []byte, token string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, k.method, c.base+k.path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", c.userAgent)
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{Response: response}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return a, nil // it has no body, and neither ctx nor a timeout would end the read
	}
	limit := c.maxAnswer
	if !k.read || !a.success() {
		limit = min(limit, maxErrorBody)
	}
	a.body, a.err = readBounded(response.Body, limit)
	return a, nil
}

var errTooLong = errors.New("the answer is longer than the configured limit")

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], errTooLong
	}
	return body, err
}

// read makes a call like do, but also returns an error if the body of the answer is incomplete. If the body is longer
// than Config.MaxAnswer, the error is an *Error.
func (c *Client) read(ctx context.Context, k call) (answer, error) {
	k.read = true
	a, err := c.do(ctx, k)
	if err != nil {
		return answer{}, err
	}
	if errors.Is(a.err, errTooLong) {
		return answer{}, c.decodeError(k.operation, a, a.err)
	}
	if a.err != nil {
		return answer{}, failed(k.operation, a.err)
	}
	return a, nil
}

// decodeError returns the *Error for a successful answer that cannot be decoded. err says why.
func (c *Client) decodeError(op Operation, a answer, err error) *Error {
	e := newError(op, a.Response, a.body, c.secrets)
	e.Code, e.Text, e.Err = "", Clean(err.Error(), maxText, c.secrets), err
	return e
}
