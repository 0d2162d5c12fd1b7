package config

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/gateway"
)

func (l *loader) checkGateway() {
	g := l.config.Gateway
	if g.Defaults && l.config.Public.URL == "" {
		l.problemOnce("is set, but public.url is not, which the callback_url of batches needs; set public.url to where "+
			"Sinch reaches the webhook, or set gateway.defaults to false", "gateway.defaults", "public.url")
	}
	switch {
	case g.Listen != "":
		l.checkGatewayListener(g)
	case g.TLS != TLS{}:
		l.problem("gateway.tls", "is set, but gateway.listen is not; the private listener, which then serves the gateway, "+
			"has no TLS: set gateway.listen, or remove gateway.tls")
	}
}

func (l *loader) checkGatewayListener(g Gateway) {
	if !l.checkAddress("gateway.listen", g.Listen) {
		return
	}
	l.checkTLS("gateway.tls", g.TLS)
	for _, other := range [][2]string{
		{"public.listen", l.config.Public.Listen},
		{"private.listen", l.config.Private.Listen},
	} {
		if conflict(g.Listen, other[1]) {
			l.problem("gateway.listen", "%q conflicts with %s, %q; change one of the ports", g.Listen, other[0], other[1])
		}
	}
	if host, _, _ := net.SplitHostPort(g.Listen); !access.LoopbackHost(host) && g.TLS == (TLS{}) {
		l.warn("gateway.listen", "%q is not HTTPS: tokens and numbers cross the network in clear text; set gateway.tls, "+
			"or put an HTTPS proxy in front", g.Listen)
	}
}

// checkPlanGateway records a problem if gateway.token of a plan is invalid. For PlanToken it also records a problem if
// the plan has no credentials, and another one if private.credentials is not set: then every caller of the gateway
// could send messages with the credentials of the plan.
func (l *loader) checkPlanGateway(key string, p Plan) {
	token := below(key, "gateway.token")
	checkOneOf(l, token, p.Gateway.Token, CallerToken, PlanToken)
	if p.Gateway.Token != PlanToken {
		return
	}
	if !p.Callable() && p.TokenFile == "" {
		l.problemOnce("plan needs credentials of the plan, but none are set; set token_file, token or project, "+
			"or gateway: {token: caller}", token, below(key, "token"), below(key, "token_file"), below(key, "project"))
	}
	if !l.config.Private.Credentials.Any() {
		l.problemOnce(gateway.ErrOpenToken.Error(), token, "private.credentials")
	}
}

// checkTLS records a problem if HTTPS is configured for a listener but cannot work. It warns if clients will reject the
// certificate. It does nothing if HTTPS is not configured, that is, if t names neither a certificate nor a key file.
func (l *loader) checkTLS(key string, t TLS) {
	certFile, keyFile := below(key, "cert_file"), below(key, "key_file")
	switch {
	case t == TLS{}:
		return
	case t.CertFile == "":
		l.problemOnce("is not set, but key_file is; HTTPS needs both", certFile)
		return
	case t.KeyFile == "":
		l.problemOnce("is not set, but cert_file is; HTTPS needs both", keyFile)
		return
	case l.reloading:
		return
	}
	cert, _, err := readLimited(t.CertFile, maxFile)
	if err != nil {
		l.problem(certFile, "%s: %s", t.CertFile, readError(err, "name the file with the certificate"))
		return
	}
	private, mode, err := readLimited(t.KeyFile, maxFile)
	if err != nil {
		l.problem(keyFile, "%s: %s", t.KeyFile, readError(err, "name the file with the private key"))
		return
	}
	if mode.Perm()&0o004 != 0 {
		l.warn(keyFile, "%s is readable by every user; run chmod o= %s", t.KeyFile, t.KeyFile)
	}
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		l.problem(certFile, "cannot use certificate and key: %s", err)
		return
	}
	l.checkCertificate(certFile, pair, time.Now())
}
