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

// Access decides by credentials, Host header and origin whether to answer a request for the private listener (API and
// metrics) or the gateway (the proxy to Sinch). It is safe for concurrent use.
type Access struct {
	basic, bearer []Digest
	challenges    []string // values of WWW-Authenticate; nil if no credentials are configured
	crossOrigin   *http.CrossOriginProtection
}

// New returns an Access that accepts these user names with passwords and these bearer tokens. If there are none,
// requests need no credentials, so only this machine should be able to reach the listener. The error names the
// configuration key of each invalid credential.
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

// Challenges returns the values of the header WWW-Authenticate for a 401 answer, or nil if no credentials are
// configured. Do not modify the slice.
func (a *Access) Challenges() []string { return a.challenges }

// Loopback reports whether only this machine can reach a listener at this host:port. It returns false for an invalid
// address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && LoopbackHost(host)
}

// LoopbackHost reports whether host, a name or IP address without a port, is localhost or a loopback address such as
// 127.0.0.1.
func LoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// ErrCredentials is the error that Access.Check returns for a request with a missing or wrong credential.
var ErrCredentials = errors.New("this listener requires a credential; the request has none or a wrong one")

// Check returns nil if the request may use the listener. If credentials are configured, the request needs one of them;
// otherwise Check returns ErrCredentials. If no credentials are configured, Check returns the error of CheckHost, which
// checks the Host header.
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

// CheckOrigin prevents cross-site request forgery. It returns a problem with status 403 if a browser sent the request
// for a page of another web site, otherwise nil. GET, HEAD and OPTIONS are always allowed.
func (a *Access) CheckOrigin(r *http.Request) error {
	if a.crossOrigin.Check(r) == nil {
		return nil
	}
	return problem.Forbidden(http.StatusForbidden, "requests from pages of other sites are refused")
}

// CheckHost checks the Host header of a request to a listener without credentials. It returns nil if host, with or
// without a port, is an IP address, localhost or a name that ends in .localhost, otherwise a problem with status 421.
// This stops DNS rebinding: a web site resolves its own host name to this machine, so that its pages can read answers.
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
