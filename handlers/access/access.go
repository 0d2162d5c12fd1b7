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

// Access checks the credentials, the Host and the origin of requests to the private listener and the gateway. It is
// safe for concurrent use.
type Access struct {
	basic, bearer []Digest
	challenges    []string // values of WWW-Authenticate; nil if no credentials are configured
	crossOrigin   *http.CrossOriginProtection
}

// New returns an Access that accepts the configured private.credentials: the user names with passwords in basic, and
// the tokens in bearer. If both lists are empty, the Access accepts any caller, so only this machine should be able to
// reach the listener. The error names the configuration key of each invalid credential.
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

// Challenges returns the values of the header WWW-Authenticate in an answer with status 401. The result is nil if no
// credentials are configured. The slice must not be modified.
func (a *Access) Challenges() []string { return a.challenges }

// Loopback reports whether only this machine can reach a listener at address, which is host:port. It returns false for
// an invalid address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && LoopbackHost(host)
}

// LoopbackHost reports whether host is the name localhost or a loopback IP address, without a port. It returns false
// for any other name, since that name may resolve to any address.
func LoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// ErrCredentials means that a request has a wrong credential, or none although the listener requires one.
var ErrCredentials = errors.New("this listener requires a credential; the request has none or a wrong one")

// Check returns nil if the caller of r may use the listener. If credentials are configured, a request without a valid
// one gets ErrCredentials. If none are configured, Check returns the result of CheckHost for r.Host.
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

// CheckOrigin stops cross-site request forgery. It returns a problem with status 403 if a page of another site made the
// browser send r, and nil otherwise. GET, HEAD and OPTIONS are always allowed, since they change nothing.
func (a *Access) CheckOrigin(r *http.Request) error {
	if a.crossOrigin.Check(r) == nil {
		return nil
	}
	return problem.Forbidden(http.StatusForbidden, "requests from pages of other sites are refused")
}

// CheckHost stops DNS rebinding, by which a web page in a browser could read answers of this machine. It returns nil if
// host, the Host header of a request, is localhost, ends in .localhost, or is an IP address. Otherwise it returns a
// problem with status 421. With credentials no check is needed, as a browser does not send them to another host name.
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
