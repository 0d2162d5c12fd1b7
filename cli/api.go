package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr"
)

// apiFlags holds the values of --config, --api and --timeout: how to reach the private HTTP API of a running dlrloop.
type apiFlags struct {
	path    *string // --config
	url     string
	timeout time.Duration
}

const apiUsage = "`URL` of the private listener of a running dlrloop (default: private.listen of the " +
	"configuration, on this machine)"

// addAPIFlags adds --config, --api and --timeout to a command. Cobra sets the returned values when it parses the flags.
func addAPIFlags(c *cobra.Command) *apiFlags {
	f := &apiFlags{path: configFlag(c)}
	c.Flags().StringVar(&f.url, "api", "", apiUsage)
	c.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "time limit of one call")
	noFiles(c, "api")
	return f
}

// api returns a client of dlrloop's private HTTP API, and the configuration, which holds the API's credentials. If
// there is no configuration, --api must be set; the client then sends no credentials, and the returned configuration is
// nil.
func (f *apiFlags) api() (*api, *config.Config, error) {
	if f.timeout <= 0 {
		return nil, nil, usageError{errors.New("--timeout must be greater than 0")}
	}
	if f.url != "" && !configured(*f.path) {
		a, err := newAPI(f.url, f.timeout)
		return a, nil, err
	}
	loaded, err := config.Load(*f.path, environ())
	if err != nil {
		return nil, nil, err
	}
	a, err := newAPI(cmp.Or(f.url, "http://"+reachable(loaded.Private.Listen)), f.timeout)
	if err != nil {
		return nil, nil, err
	}
	switch c := loaded.Private.Credentials; {
	case len(c.Tokens) > 0:
		a.authorize = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+c.Tokens[0].Reveal()) }
	case len(c.Basic) > 0:
		a.authorize = func(r *http.Request) { r.SetBasicAuth(c.Basic[0].Username, c.Basic[0].Password.Reveal()) }
	}
	return a, loaded, nil
}

// api is a client of the private HTTP API of a running dlrloop. It is safe for concurrent use.
type api struct {
	base      string
	authorize func(*http.Request)
	client    *http.Client
}

func newAPI(base string, timeout time.Duration) (*api, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return nil, usageError{errors.New("--api: must be an http:// or https:// URL without user name, ? and #, " +
			"such as http://127.0.0.1:8081")}
	}
	return &api{
		base:      strings.TrimRight(base, "/"),
		authorize: func(*http.Request) {},
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: apiParallel},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       timeout,
		},
	}, nil
}

// apiParallel is the maximum number of API calls that a command makes at the same time.
const apiParallel = 8

// maxAPIAnswer is the maximum size of the body of an API answer in bytes. A longer answer is cut off, so decoding it
// fails. No page of a list that dlrloop returns is that large.
const maxAPIAnswer = 64 << 20

// get requests path, which may include a query, and decodes the JSON answer into the variable that result points to. A
// status other than 2xx is an error.
func (a *api) get(ctx context.Context, path string, result any) error {
	return a.call(ctx, http.MethodGet, path, "", nil, result)
}

func (a *api) post(ctx context.Context, path string, body, result any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return a.call(ctx, http.MethodPost, path, "application/json", encoded, result)
}

func (a *api) call(ctx context.Context, method, path, contentType string, body []byte, result any) error {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "dlrloop/"+Version())
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	a.authorize(r)
	response, err := a.client.Do(r)
	if err != nil {
		return a.connectionError(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAPIAnswer))
	if err != nil {
		return a.connectionError(err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return a.statusError(response, answer)
	}
	if err := dlr.UnmarshalExact(answer, result); err != nil {
		return fmt.Errorf("%s does not answer as dlrloop does: %w", a.base, err)
	}
	return nil
}

// connectionError adds the API's base URL to err, the error of a call that got no complete answer. If no connection
// could be opened, it also adds the advice to start dlrloop or to set --api.
func (a *api) connectionError(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the message already names the URL
	}
	err = fmt.Errorf("%s does not answer: %w", a.base, err)
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return advised{err, "start it (dlrloop serve), or set --api to its URL"}
	}
	return err
}

// apiError is the error for an answer of dlrloop's private API with a status other than 2xx. Its exported fields are
// decoded from the answer's JSON body. A field is empty if the body does not have it or is not JSON.
type apiError struct {
	base, status string
	code         int
	Detail       string `json:"detail"`
	RequestID    string `json:"request_id"`
	OldestCursor string `json:"oldest_cursor"` // for 410 from the feed of events
}

func (e *apiError) Error() string {
	s := fmt.Sprintf("%s answers %s", e.base, e.status)
	if e.Detail != "" {
		s += ": " + printable(e.Detail)
	}
	if e.code >= http.StatusInternalServerError && e.RequestID != "" {
		s += " (request " + printable(e.RequestID) + ")"
	}
	return s
}

// statusError returns the error for a response with a status other than 2xx; answer is the body of the response. The
// error is an *apiError with the members of answer. For 401, 429 and 503 the *apiError is wrapped in an advised.
func (a *api) statusError(response *http.Response, answer []byte) error {
	e := &apiError{}
	_ = dlr.UnmarshalExact(answer, e) // without a problem document there is no detail
	e.base, e.status, e.code = a.base, response.Status, response.StatusCode
	switch e.code {
	case http.StatusUnauthorized:
		return advised{e, "the API needs private.credentials: name the configuration that has them with --config"}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return advised{e, "run the same command later"}
	}
	return e
}

// escaped joins the segments to a URL path with a slash before each. It escapes the segments, so that a slash in a
// segment does not divide it.
func escaped(segments ...string) string {
	var path strings.Builder
	for _, s := range segments {
		path.WriteString("/" + url.PathEscape(s))
	}
	return path.String()
}
