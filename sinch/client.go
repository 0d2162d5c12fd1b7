package sinch

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config selects the plan or project, the host and the credentials of a Client. Set either Plan and Token, or Project.
// Also set either Region or BaseURL.
type Config struct {
	// Plan is the service plan id. It is the first path segment of every call, unless Project is set.
	Plan string
	// Region is us, eu, au, br or ca; with Project only us or eu. Sinch knows a plan in one region only.
	Region string
	// BaseURL replaces the host of the region. It has a scheme, a host and optionally a path before /xms/v1. A trailing
	// /xms/v1, with or without the plan, is ignored.
	BaseURL string

	Token   Secret  // the service plan's API token
	Project Project // set instead of Token

	// Transport sends the requests. Nil means a transport of the client's own, which uses the proxy of the environment
	// variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
	Transport http.RoundTripper
	// Timeout limits one operation as a whole, including the fetch of a token. Zero means 10 s.
	Timeout time.Duration
	// MaxAnswer limits the bytes read of one answer. Zero means 16 MiB: a full report to large groups has megabytes.
	MaxAnswer int64
	// MaxRequest limits the bytes of a request body. Zero means 4 MiB.
	MaxRequest int64
	// UserAgent is the User-Agent header; empty means "dlrloop".
	UserAgent string
}

// Project is a Sinch project and its access key, which the client exchanges for OAuth2 tokens.
type Project struct {
	ID        string // replaces the plan in every path
	KeyID     string
	KeySecret Secret
	AuthURL   string // URL of the token endpoint; default https://auth.sinch.com/oauth2/token
}

const (
	defaultTimeout    = 10 * time.Second
	defaultMaxAnswer  = 16 << 20
	defaultMaxRequest = 4 << 20
	defaultAuthURL    = "https://auth.sinch.com/oauth2/token"
)

// Client calls Sinch for one service plan or project. It is safe for concurrent use.
type Client struct {
	http        *http.Client
	base        string // URL including the plan's segment, without a trailing slash
	credentials credentials
	secrets     []string // masked in every error
	timeout     time.Duration
	maxAnswer   int64
	maxRequest  int64
	userAgent   string
}

// New returns a Client. It does not call Sinch. An error names the field of c that is wrong or missing.
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

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// maxIdle is the maximum number of idle connections that a client keeps for reuse.
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

// CheckRegion returns an error if Sinch has no region with this name. Pass project = true if the client uses a
// project's access key, which only some regions accept.
func CheckRegion(region string, project bool) error {
	switch region {
	case "us", "eu":
		return nil
	case "au", "br", "ca":
		if project {
			return errors.New("a project's access key works only in us and eu; use the service plan's API token")
		}
		return nil
	}
	if region == "" {
		return errors.New("is not set; write the region of the service plan: us, eu, au, br or ca")
	}
	return fmt.Errorf("%q is not a valid value; use us, eu, au, br or ca", region)
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

// segment returns the path segment after /xms/v1/ in every URL: the project's id if Project is set, else the plan's id.
func (c Config) segment() string {
	if c.Project != (Project{}) {
		return c.Project.ID
	}
	return c.Plan
}

func (c Config) origin() (string, error) {
	if c.BaseURL == "" {
		project := c.Project != Project{}
		if err := CheckRegion(c.Region, project); err != nil {
			return "", fmt.Errorf("region: %w", err)
		}
		if project {
			return "https://zt." + c.Region + ".sms.api.sinch.com", nil
		}
		return "https://" + c.Region + ".sms.api.sinch.com", nil
	}
	if c.Region != "" {
		return "", errors.New("region and base_url: set only one of them")
	}
	base, err := ParseBaseURL(c.BaseURL, c.segment())
	if err != nil {
		return "", fmt.Errorf("base_url: %w", err)
	}
	return base, nil
}

// ErrID means that no call was made: an id is empty, "." or "..", and cannot be a segment of a URL path.
var ErrID = errors.New(`an id must not be empty, "." or ".."`)

// escape returns an id escaped as one segment of a URL path. For an empty id, "." and ".." it returns ErrID.
func escape(id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", ErrID // a server or proxy may resolve "." and ".." even if they are escaped
	}
	return url.PathEscape(id), nil
}
