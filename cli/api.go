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

// local is the private API of a running dlrloop that a command is about, as its flags name it.
type local struct {
	path    *string // of the configuration
	url     string
	timeout time.Duration
}

const apiUsage = "`URL` of the private listener of a running dlrloop; default: the configuration's private.listen, on this machine"

// localFlags adds to a command how it reaches a running dlrloop.
func localFlags(c *cobra.Command) *local {
	l := &local{path: configFlag(c)}
	c.Flags().StringVar(&l.url, "api", "", apiUsage)
	c.Flags().DurationVar(&l.timeout, "timeout", 30*time.Second, "how long one call may take")
	noFiles(c, "api")
	return l
}

// api makes a client of the API. The configuration is nil if there is none, which is in order where --api says where to
// go: the client then has no credentials.
func (l *local) api() (*api, *config.Config, error) {
	if l.timeout <= 0 {
		return nil, nil, usageError{errors.New("--timeout must be more than 0")}
	}
	if l.url != "" && !configured(*l.path) {
		a, err := newAPI(l.url, l.timeout)
		return a, nil, err
	}
	loaded, err := config.Load(*l.path, environ())
	if err != nil {
		return nil, nil, err
	}
	a, err := newAPI(cmp.Or(l.url, "http://"+reachable(loaded.Private.Listen)), l.timeout)
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

// api calls the private API of a running dlrloop.
type api struct {
	base      string
	authorize func(*http.Request)
	client    *http.Client
}

func newAPI(base string, timeout time.Duration) (*api, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, usageError{errors.New("--api: it must be an http:// or https:// URL without user name, ? and #, such as http://127.0.0.1:8081")}
	}
	return &api{
		base:      strings.TrimRight(base, "/"),
		authorize: func(*http.Request) {},
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: apiLanes},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       timeout,
		},
	}, nil
}

// apiLanes is how many calls a command makes at once.
const apiLanes = 8

// maxAPIAnswer is more than the largest page takes.
const maxAPIAnswer = 64 << 20

// get reads what is at the path, which has its query.
func (a *api) get(ctx context.Context, path string, into any) error {
	return a.call(ctx, http.MethodGet, path, "", nil, into)
}

func (a *api) post(ctx context.Context, path string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return a.call(ctx, http.MethodPost, path, "application/json", encoded, into)
}

func (a *api) call(ctx context.Context, method, path, contentType string, body []byte, into any) error {
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
		return a.unreached(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAPIAnswer))
	if err != nil {
		return a.unreached(err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return a.refused(response, answer)
	}
	if err := dlr.UnmarshalExact(answer, into); err != nil {
		return fmt.Errorf("%s answers what is not dlrloop's: %w", a.base, err)
	}
	return nil
}

func (a *api) unreached(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the URL is told without it
	}
	told := fmt.Errorf("%s does not answer: %w", a.base, err)
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return advised{told, "start it (dlrloop serve), or name where it runs with --api"}
	}
	return told
}

// apiError is an answer of the private API that is no success.
type apiError struct {
	base, status string
	code         int
	Detail       string `json:"detail"`
	RequestID    string `json:"request_id"`
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

func (a *api) refused(response *http.Response, answer []byte) error {
	e := &apiError{}
	_ = dlr.UnmarshalExact(answer, e) // what is no problem document has no detail
	e.base, e.status, e.code = a.base, response.Status, response.StatusCode
	switch e.code {
	case http.StatusUnauthorized:
		return advised{e, "its private.credentials are needed: use its configuration (--config)"}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return advised{e, "the same command will do later"}
	}
	return e
}

// escaped is a path of these segments.
func escaped(segments ...string) string {
	var path strings.Builder
	for _, s := range segments {
		path.WriteString("/" + url.PathEscape(s))
	}
	return path.String()
}
