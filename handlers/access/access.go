package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// Access authenticates the callers of the private listener. Use New.
type Access struct {
	basic, bearer []Digest
	challenges    []string // values of WWW-Authenticate; nil if no credentials are configured
	crossOrigin   *http.CrossOriginProtection
}

// New returns the access for private.credentials. basic and bearer are alternatives. Without any, Check accepts every
// caller on this machine, so the listener must not be reachable from others.
func New(basic []Basic, bearer []string) (*Access, error) {
	a := &Access{bearer: DigestsOf(bearer), crossOrigin: http.NewCrossOriginProtection()}
	var faults Faults
	for i, b := range basic {
		b.Check(faults.At(fmt.Sprintf("private.credentials.basic[%d]", i)))
		a.basic = append(a.basic, b.Digests()...)
	}
	for i, token := range bearer {
		if token == "" || strings.TrimSpace(token) != token {
			faults.At(fmt.Sprintf("private.credentials.tokens[%d]", i))("", "is empty, or begins or ends with a space")
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if a.basic != nil {
		a.challenges = append(a.challenges, `Basic realm="dlrloop", charset="UTF-8"`)
	}
	if a.bearer != nil {
		a.challenges = append(a.challenges, `Bearer realm="dlrloop"`)
	}
	return a, nil
}

// Challenges returns the values of WWW-Authenticate for an answer 401. It is nil if no credentials are configured.
func (a *Access) Challenges() []string { return a.challenges }

// Loopback reports whether only this machine can reach a listener at the address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && LoopbackHost(host)
}

// LoopbackHost reports whether a host is this machine. Of host names only localhost counts, since any other may resolve
// to anything.
func LoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// ErrCredentials means that a request has no credential, or a wrong one.
var ErrCredentials = errors.New("this listener requires a credential; the request has none or a wrong one")

// Check returns nil if the request is authenticated, or if no credentials are configured and CheckHost accepts the
// request.
func (a *Access) Check(r *http.Request) error {
	if a.challenges == nil {
		return CheckHost(r.Host)
	}
	if user, password, ok := r.BasicAuth(); ok {
		if DigestOf(user + ":" + password).In(a.basic) {
			return nil
		}
		return ErrCredentials
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && DigestOf(strings.TrimSpace(token)).In(a.bearer) {
		return nil
	}
	return ErrCredentials
}

// CheckOrigin returns a problem for a request that a page of another site makes a browser send.
func (a *Access) CheckOrigin(r *http.Request) error {
	if a.crossOrigin.Check(r) == nil {
		return nil
	}
	return problem.Forbidden(http.StatusForbidden, "requests from pages of other sites are refused")
}

// CheckHost stops DNS rebinding: a web site could have its own name resolve to this machine, and its pages, open in a
// browser here, could then read every answer. So without credentials only localhost and IP addresses are accepted as
// Host. With credentials there is no such danger, since a browser does not send them to another name.
func CheckHost(host string) error {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(name), "["), "]")
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return nil
	}
	return problem.Forbidden(http.StatusMisdirectedRequest, "without private.credentials this listener accepts only "+
		"localhost or an IP address as Host: use one of them, let the proxy in front send one, or set credentials")
}
