package config

import (
	"crypto/tls"
	"net"
	"time"
)

func (l *loading) checkGateway() {
	g := l.config.Gateway
	if g.Defaults && l.config.Public.URL == "" {
		l.missing("is set, but public.url is not, and callbacks need somewhere to go: set public.url to where Sinch reaches the webhook, "+
			"or leave gateway.defaults false", "gateway.defaults", "public.url")
	}
	switch {
	case g.Listen != "":
		l.checkGatewayListener(g)
	case g.TLS != TLS{}:
		l.problem("gateway.tls", "is set, but gateway.listen is not: the private listener, where the gateway is then, speaks HTTP; "+
			"set gateway.listen, or leave gateway.tls out")
	}
}

func (l *loading) checkGatewayListener(g Gateway) {
	if !l.checkAddress("gateway.listen", g.Listen) {
		return
	}
	l.checkTLS("gateway.tls", g.TLS)
	for _, other := range [][2]string{{"public.listen", l.config.Public.Listen}, {"private.listen", l.config.Private.Listen}} {
		if clash(g.Listen, other[1]) {
			l.problem("gateway.listen", "%q takes the port of %s, %q; give one of them another port", g.Listen, other[0], other[1])
		}
	}
	if host, _, _ := net.SplitHostPort(g.Listen); !isLoopback(host) && g.TLS == (TLS{}) {
		l.warn("gateway.listen", "%q speaks HTTP: tokens and numbers cross the network in clear text; set gateway.tls, "+
			"or have something in front that speaks HTTPS", g.Listen)
	}
}

// checkPlanGateway wants credentials on either side where the plan's token is used: whoever may call may send.
func (l *loading) checkPlanGateway(key string, p Plan) {
	token := below(key, "gateway.token")
	choose(l, token, p.Gateway.Token, CallerToken, PlanToken)
	if p.Gateway.Token != PlanToken {
		return
	}
	if !p.Callable() && p.TokenFile == "" {
		l.missing("plan wants the plan's own credentials, and there are none; set token_file, token or project, or gateway: {token: caller}",
			token, below(key, "token"), below(key, "token_file"), below(key, "project"))
	}
	if !l.config.Private.Credentials.Any() {
		l.missing("plan lets whoever reaches the gateway send at your cost, also from this machine; set private.credentials, which "+
			"callers then need, or gateway: {token: caller}", token, "private.credentials")
	}
}

// checkTLS wants both files or neither, and that they belong together.
func (l *loading) checkTLS(key string, t TLS) {
	certFile, keyFile := below(key, "cert_file"), below(key, "key_file")
	switch {
	case t == TLS{}:
		return
	case t.CertFile == "":
		l.missing("is not set, but key_file is; HTTPS needs both", certFile)
		return
	case t.KeyFile == "":
		l.missing("is not set, but cert_file is; HTTPS needs both", keyFile)
		return
	case l.reloading:
		return
	}
	cert, _, err := readLimited(t.CertFile, maxFile)
	if err != nil {
		l.problem(certFile, "%s: %s", t.CertFile, unreadable(err, "name the file with the certificate"))
		return
	}
	private, mode, err := readLimited(t.KeyFile, maxFile)
	if err != nil {
		l.problem(keyFile, "%s: %s", t.KeyFile, unreadable(err, "name the file with the private key"))
		return
	}
	if mode.Perm()&0o004 != 0 {
		l.warn(keyFile, "%s can be read by every user: chmod o= %s", t.KeyFile, t.KeyFile)
	}
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		l.problem(certFile, "certificate and key do not work together: %s", err)
		return
	}
	l.checkCertificate(certFile, pair, time.Now())
}
