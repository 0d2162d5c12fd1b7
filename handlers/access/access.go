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

// Access checks credentials, Host and origin of requests to the private listener. It is safe for concurrent use.
type Access struct {
	basic, bearer []Digest
	challenges    []string // values of WWW-Authenticate; nil if no credentials are configured
	crossOrigin   *http.CrossOriginProtection
}

// New returns an Access with the credentials of private.credentials: basic holds user names and passwords, bearer holds
// tokens. A request needs one of the credentials. If both lists are empty, Access does not check callers, so only this
// machine may be able to reach the listener. The error names the configuration key of each invalid credential.
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

// Challenges returns the values of the header WWW-Authenticate for an answer 401, or nil if no credentials are
// configured. The slice must not be modified.
func (a *Access) Challenges() []string { return a.challenges }

// Loopback reports whether only this machine can reach a listener at address, which is host:port. It returns false for
// an invalid address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && LoopbackHost(host)
}

// LoopbackHost reports whether host, a name or an IP address without a port, means this machine. The only name that
// counts is localhost, since any other name may resolve to any address.
func LoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// ErrCredentials means that a request has no credential, or a wrong one.
var ErrCredentials = errors.New("this listener requires a credential; the request has none or a wrong one")

// Check checks the caller of r. If credentials are configured, it returns nil for a request with a valid one, else
// ErrCredentials. If none are configured, it returns the result of CheckHost.
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

// CheckOrigin stops cross-site request forgery. If a page of another site made a browser send r, and r may change
// something, it returns a problem that is answered 403, else nil.
func (a *Access) CheckOrigin(r *http.Request) error {
	if a.crossOrigin.Check(r) == nil {
		return nil
	}
	return problem.Forbidden(http.StatusForbidden, "requests from pages of other sites are refused")
}

// CheckHost stops DNS rebinding, by which a web page could read answers through a browser on this machine. It returns
// nil if host, the Host header of a request, is localhost or an IP address. Otherwise it returns a problem that is
// answered 421. With credentials the check is not needed, since a browser does not send them to another host name.
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
