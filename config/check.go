package config

import (
	"fmt"
	"net"
	"strings"
)

// check tells everything that cannot work, or should not.
func (l *loading) check() {
	l.checkBounds()
	l.checkMemory()
	l.checkPublic()
	l.checkPrivate()
	l.checkGateway()
	l.checkStore()
	l.checkReplica()
	choose(l, "log.level", l.config.Log.Level, "debug", "info", "warn", "error")
	choose(l, "log.format", l.config.Log.Format, FormatAuto, FormatJSON, FormatText)
	switch {
	case len(l.config.Plans) > 0:
	case l.source.name == "":
		l.missing("no configuration was found: there is no "+defaultFile+" here, and neither --config nor $DLRLOOP_CONFIG names a file; "+
			"copy config.example.yaml to start from, or set DLRLOOP_PLANS_0_ID and the like", "plans")
	default:
		l.missing("there is no plan; add your service plan under plans:, or set DLRLOOP_PLANS_0_ID and the like", "plans")
	}
	for i := range l.config.Plans {
		l.checkPlan(i)
	}
}

func (l *loading) checkPublic() {
	p := &l.config.Public
	l.checkAddress("public.listen", p.Listen)
	l.checkPublicURL()
	for i, proxy := range p.TrustedProxies {
		switch key := element("public.trusted_proxies", i); {
		case isNetwork(proxy):
		case strings.Contains(proxy, "%"):
			l.problem(key, "%q has a zone; write the address without %% and what follows", proxy)
		default:
			l.problem(key, "%q is neither an IP address nor a network; write 10.0.0.7 or 10.0.0.0/8", proxy)
		}
	}
	l.checkTLS("public.tls", p.TLS)
}

func (l *loading) checkPrivate() {
	p, public := l.config.Private, l.config.Public
	for i, pair := range p.Credentials.Basic {
		l.checkBasic(element("private.credentials.basic", i), pair)
	}
	if !l.checkAddress("private.listen", p.Listen) {
		return
	}
	if clash(p.Listen, public.Listen) {
		l.problem("private.listen", "%q takes the port of public.listen, %q; give one of them another port", p.Listen, public.Listen)
	}
	if host, _, _ := net.SplitHostPort(p.Listen); !isLoopback(host) && !p.Credentials.Any() {
		l.missing(fmt.Sprintf("%q can be reached from the network, and whoever reaches it may see and do everything; "+
			"set private.credentials, or listen on 127.0.0.1", p.Listen), "private.listen", "private.credentials")
	}
}

func (l *loading) checkBasic(key string, b Basic) {
	switch {
	case b.Username == "":
		l.missing("is not set; a pair is a user name and a password", below(key, "username"))
	case strings.Contains(b.Username, ":"):
		l.problem(below(key, "username"), "contains a colon, which HTTP Basic cannot carry; choose another")
	}
	if b.Password == "" {
		l.missing("there is no password; set password or password_file", below(key, "password"), below(key, "password_file"))
	}
}

// choose refuses what is none of the choices.
func choose[T ~string](l *loading, key string, value T, choices ...T) {
	words := make([]string, len(choices))
	for i, c := range choices {
		if value == c {
			return
		}
		words[i] = string(c)
	}
	l.problem(key, "%q is not possible; choose %s", string(value), orList(words))
}

// orList is: a, b or c.
func orList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
