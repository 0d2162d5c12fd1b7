package handlers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// access authenticates the callers of the private listener.
type access struct {
	basic, bearer []digest
	challenges    []string // values of WWW-Authenticate; nil if no credentials are configured
}

func newAccess(c PrivateConfig) (*access, error) {
	if len(c.Basic)+len(c.Bearer) == 0 && !loopback(c.Listen) {
		return nil, fmt.Errorf("private.listen: other machines can reach %q and could read phone numbers there: "+
			"listen on loopback (127.0.0.1:8081), or set private.credentials", c.Listen)
	}
	a := &access{bearer: digestsOf(c.Bearer)}
	for i, b := range c.Basic {
		if b.User == "" || strings.Contains(b.User, ":") || b.Password == "" {
			return nil, fmt.Errorf("private.credentials.basic[%d]: set a user name without a colon, and a password", i)
		}
		a.basic = append(a.basic, b.digests()...)
	}
	for i, token := range c.Bearer {
		if token == "" || strings.TrimSpace(token) != token {
			return nil, fmt.Errorf("private.credentials.tokens[%d]: empty, or begins or ends with a space", i)
		}
	}
	if a.basic != nil {
		a.challenges = append(a.challenges, `Basic realm="dlrloop", charset="UTF-8"`)
	}
	if a.bearer != nil {
		a.challenges = append(a.challenges, `Bearer realm="dlrloop"`)
	}
	return a, nil
}

// loopback reports whether only this machine can reach a listener at the address. Of host names only localhost counts,
// since any other may resolve to anything.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// errCredentials means that a request has no credential, or a wrong one.
var errCredentials = errors.New("this listener requires a credential; the request has none or a wrong one")

// check returns nil if the request is authenticated, or if no credentials are configured and checkHost accepts the
// request.
func (a *access) check(r *http.Request) error {
	if a.challenges == nil {
		return checkHost(r.Host)
	}
	if user, password, ok := r.BasicAuth(); ok {
		if digestOf(user + ":" + password).in(a.basic) {
			return nil
		}
		return errCredentials
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && digestOf(strings.TrimSpace(token)).in(a.bearer) {
		return nil
	}
	return errCredentials
}

// checkHost stops DNS rebinding: a web site could have its own name resolve to this machine, and its pages, open in a
// browser here, could then read every answer. So without credentials only localhost and IP addresses are accepted as
// Host. With credentials there is no such danger, since a browser does not send them to another name.
func checkHost(host string) error {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(name), "["), "]")
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return nil
	}
	return forbidden(http.StatusMisdirectedRequest, "without private.credentials this listener accepts only "+
		"localhost or an IP address as Host: use one of them, let the proxy in front send one, or set credentials")
}

// forbidden returns the problem for a request that is refused whatever its credentials are.
func forbidden(status int, detail string) error {
	return &problem{kind: kindForbidden, status: status, detail: detail}
}
