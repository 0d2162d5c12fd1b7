package sinch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// credentials supplies the bearer token of a call: the API token of a service plan or the OAuth2 token of a project.
type credentials interface {
	token(ctx context.Context) (string, error)
	// renew reports whether answer refuses the token as expired, so that the call should be repeated with a new token.
	renew(ctx context.Context, token string, answer *http.Response) bool
}

func (c Config) credentials(client *http.Client) (credentials, error) {
	if c.Project == (Project{}) {
		if c.Token == "" {
			return nil, errors.New("token: it is empty; set token or project")
		}
		if err := CheckToken(c.Token); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		return planToken(c.Token), nil
	}
	if c.Token != "" {
		return nil, errors.New("token and project: set only one of them")
	}
	var faults []error
	c.Project.Check(func(member, text string) { faults = append(faults, fmt.Errorf("project: %s: %s", member, text)) })
	if faults != nil {
		return nil, errors.Join(faults...)
	}
	authURL := cmp.Or(c.Project.AuthURL, defaultAuthURL)
	if _, err := ParseURL(authURL); err != nil {
		return nil, fmt.Errorf("project: auth_url: %w", err)
	}
	return &projectTokens{
		client: client,
		config: clientcredentials.Config{
			ClientID:     c.Project.KeyID,
			ClientSecret: string(c.Project.KeySecret),
			TokenURL:     authURL,
			AuthStyle:    oauth2.AuthStyleInHeader,
		},
		lock: make(chan struct{}, 1),
	}, nil
}

// Check calls fault for each required field that is empty, with the field's name in the config file and what to set.
func (p Project) Check(fault func(member, text string)) {
	const needed = "is not set; a project needs id, key_id and key_secret_file"
	if p.ID == "" {
		fault("id", needed)
	}
	if p.KeyID == "" {
		fault("key_id", needed)
	}
	if p.KeySecret == "" {
		fault("key_secret", "no access key secret is set; set key_secret_file or key_secret")
	}
}

// CheckToken returns an error if an API token has a character or a beginning that no token has, such as a quotation
// mark or "Bearer ". The error does not contain the token. An empty token is accepted.
func CheckToken(t Secret) error {
	s := string(t)
	switch {
	case len(s) >= 7 && strings.EqualFold(s[:7], "Bearer "):
		return errors.New(`begins with "Bearer "; write the token alone`)
	case strings.ContainsAny(s, "\"'`"):
		return errors.New("contains a quotation mark, which no token has; write the token alone")
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("contains a space or another character that no token has; copy the token again")
	}
	return nil
}

// planToken is the API token of a service plan. It does not expire.
type planToken string

func (t planToken) token(context.Context) (string, error) { return string(t), nil }

func (planToken) renew(context.Context, string, *http.Response) bool { return false }

// projectTokens fetches the OAuth2 token of a project and caches it until it expires. While one caller fetches the
// token, other callers wait.
type projectTokens struct {
	client *http.Client
	config clientcredentials.Config
	lock   chan struct{} // a mutex that a context can interrupt; guards current
	// current is the token in use. It is nil before the first fetch and after a refusal.
	current *oauth2.Token
}

func (p *projectTokens) token(ctx context.Context) (string, error) {
	select {
	case p.lock <- struct{}{}:
		defer func() { <-p.lock }()
	case <-ctx.Done():
		return "", failed(FetchToken, context.Cause(ctx))
	}
	if p.current.Valid() {
		return p.current.AccessToken, nil
	}
	t, err := p.config.Token(context.WithValue(ctx, oauth2.HTTPClient, p.client))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return "", newError(FetchToken, refused.Response, refused.Body, []string{p.config.ClientSecret})
	}
	if err != nil {
		return "", failed(FetchToken, err)
	}
	p.current = t
	return t.AccessToken, nil
}

// renew removes a token from the cache and returns true if Sinch's answer says that the token has expired. A newer
// token stays in the cache.
func (p *projectTokens) renew(ctx context.Context, token string, answer *http.Response) bool {
	if answer.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(strings.ToLower(strings.Join(answer.Header.Values("WWW-Authenticate"), ",")), "expired") {
		return false
	}
	select {
	case p.lock <- struct{}{}:
		defer func() { <-p.lock }()
	case <-ctx.Done():
		return false
	}
	if p.current != nil && p.current.AccessToken == token {
		p.current = nil
	}
	return true
}
