package sinch

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says whom the client speaks for, and to which host. Plan, one of Region and BaseURL, and one of Token and
// Project are required.
type Config struct {
	// Plan is the service plan id. It is the first segment of every path, unless Project is set.
	Plan string
	// Region is us, eu, au, br or ca; with Project only us or eu. A plan of one region is unknown in every other.
	Region string
	// BaseURL replaces the region's host: scheme, host and, if need be, a path before /xms/v1. /xms/v1 and /xms/v1/ with the
	// plan's segment at its end change nothing.
	BaseURL string

	Token   Secret  // the service plan's API token
	Project Project // instead of Token

	// Transport carries the calls; nil means one of the client's own, which heeds the usual proxy variables.
	Transport http.RoundTripper
	// Timeout bounds one operation from its first byte to its last, the fetching of a token included. Default 10 s.
	Timeout time.Duration
	// MaxAnswer bounds the bytes read of one answer. Default 16 MiB: a full report to large groups is megabytes.
	MaxAnswer int64
	// MaxRequest bounds the bytes of a request's body. Default 4 MiB.
	MaxRequest int64
	// UserAgent defaults to "dlrloop".
	UserAgent string
}

// Project is a project's access key, to be exchanged for OAuth2 tokens.
type Project struct {
	ID        string // takes the plan's place in every path
	KeyID     string
	KeySecret Secret
	AuthURL   string // of the token endpoint; default https://auth.sinch.com/oauth2/token
}

const (
	defaultTimeout    = 10 * time.Second
	defaultMaxAnswer  = 16 << 20
	defaultMaxRequest = 4 << 20
	defaultAuthURL    = "https://auth.sinch.com/oauth2/token"
)

// Client calls Sinch for one service plan or project. It is safe for use by any number of goroutines.
type Client struct {
	http        *http.Client
	base        string // up to and with the plan's segment, without a slash at the end
	credentials credentials
	secrets     []string // never to appear in an error
	timeout     time.Duration
	maxAnswer   int64
	maxRequest  int64
	userAgent   string
}

// New makes a client. It calls nobody; an error names the member that is wrong.
func New(c Config) (*Client, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	client := &Client{
		http: &http.Client{
			Transport:     c.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base:       base,
		timeout:    cmp.Or(max(c.Timeout, 0), defaultTimeout),
		maxAnswer:  cmp.Or(max(c.MaxAnswer, 0), defaultMaxAnswer),
		maxRequest: cmp.Or(max(c.MaxRequest, 0), defaultMaxRequest),
		userAgent:  cmp.Or(c.UserAgent, "dlrloop"),
	}
	if c.Transport == nil {
		client.http.Transport = newTransport()
	}
	if client.credentials, err = c.credentials(client.http); err != nil {
		return nil, err
	}
	for _, s := range []Secret{c.Token, c.Project.KeySecret} {
		if s != "" {
			client.secrets = append(client.secrets, string(s))
		}
	}
	return client, nil
}

// CloseIdleConnections closes connections that no call uses.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// maxIdle is how many connections are kept for the next calls: as many as calls are usually in flight.
const maxIdle = 128

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// hosts returns the origins by region for the credential model in use.
func (c Config) hosts() map[string]string {
	if c.Project != (Project{}) {
		return map[string]string{
			"us": "https://zt.us.sms.api.sinch.com",
			"eu": "https://zt.eu.sms.api.sinch.com",
		}
	}
	return map[string]string{
		"us": "https://us.sms.api.sinch.com",
		"eu": "https://eu.sms.api.sinch.com",
		"au": "https://au.sms.api.sinch.com",
		"br": "https://br.sms.api.sinch.com",
		"ca": "https://ca.sms.api.sinch.com",
	}
}

func (c Config) base() (string, error) {
	origin, err := c.origin()
	if err != nil {
		return "", err
	}
	segment, err := escape(c.segment())
	if err != nil {
		name := "plan"
		if c.Project != (Project{}) {
			name = "project id"
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return origin + apiPath + segment, nil
}

// segment is the id that follows /xms/v1/ in every path.
func (c Config) segment() string {
	if c.Project != (Project{}) {
		return c.Project.ID
	}
	return c.Plan
}

func (c Config) origin() (string, error) {
	if c.BaseURL == "" {
		hosts := c.hosts()
		if host, found := hosts[c.Region]; found {
			return host, nil
		}
		known := strings.Join(slices.Sorted(maps.Keys(hosts)), ", ")
		return "", fmt.Errorf("region %q: use one of %s, or give a base_url", c.Region, known)
	}
	if c.Region != "" {
		return "", errors.New("region and base_url: give only one of them")
	}
	base, err := ParseBaseURL(c.BaseURL, c.segment())
	if err != nil {
		return "", fmt.Errorf("base_url: %w", err)
	}
	return base, nil
}

// ErrID means that an id cannot stand in a path: it is empty, "." or "..".
var ErrID = errors.New(`an id must not be empty, "." or ".."`)

// escape makes an opaque id one segment of a path. "." and ".." cannot be: whoever normalises a path takes them, escaped or
// not, for steps.
func escape(id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", ErrID
	}
	return url.PathEscape(id), nil
}
