package handlers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// access decides who may use the private listener.
type access struct {
	basic, bearer []digest
	challenges    []string // what WWW-Authenticate offers
}

func newAccess(c PrivateConfig) (*access, error) {
	if len(c.Basic)+len(c.Bearer) == 0 && !loopback(c.Listen) {
		return nil, fmt.Errorf("private.listen: %q can be reached from other machines, which would then read phone numbers: "+
			"listen on loopback (127.0.0.1:8081), or set private.credentials", c.Listen)
	}
	a := &access{bearer: digestsOf(c.Bearer)}
	for i, b := range c.Basic {
		if b.User == "" || strings.Contains(b.User, ":") || b.Password == "" {
			return nil, fmt.Errorf("private.credentials.basic[%d]: it needs a user name without a colon, and a password", i)
		}
		a.basic = append(a.basic, b.digests()...)
	}
	for i, token := range c.Bearer {
		if token == "" || strings.TrimSpace(token) != token {
			return nil, fmt.Errorf("private.credentials.tokens[%d]: it must not be empty, nor begin or end with a space", i)
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

// loopback reports whether only this machine can reach a listener at the address. A host name may stand for anything, but
// for localhost.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// errCredentials means that a request brought no credential, or a wrong one.
var errCredentials = errors.New("this address needs a credential, and the request has none or a wrong one")

// check returns nil for a request that is let in.
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

// checkHost keeps a web site out that had a name of its own point at this machine: its pages, open in a browser here, could
// read every answer (DNS rebinding). localhost and addresses cannot be had that way. With credentials there is no such
// danger, since a browser does not give them to another name.
func checkHost(host string) error {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(name), "["), "]")
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return nil
	}
	return forbidden(http.StatusMisdirectedRequest, "without private.credentials this listener answers only as localhost "+
		"or by an IP address: call it so, have the proxy in front send such a Host, or set credentials")
}

// forbidden refuses a request whatever credentials it brings.
func forbidden(status int, detail string) error {
	return &problem{kind: kindForbidden, status: status, detail: detail}
}
