package config

import (
	"fmt"
	"net"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/access"
)

// check records a problem for every value of the configuration that cannot work, and a warning for every value that is
// probably wrong.
func (l *loader) check() {
	l.checkBounds()
	l.checkMemory()
	l.checkPublic()
	l.checkPrivate()
	l.checkGateway()
	l.checkStore()
	l.checkReplica()
	checkOneOf(l, "log.level", l.config.Log.Level, "debug", "info", "warn", "error")
	checkOneOf(l, "log.format", l.config.Log.Format, FormatAuto, FormatJSON, FormatText)
	switch {
	case len(l.config.Plans) > 0:
	case l.source.name == "":
		l.problemOnce("no configuration found: there is no "+defaultFile+" in the working directory, "+
			"and neither --config nor $DLRLOOP_CONFIG names a file; start from a copy of config.example.yaml, or set "+
			"DLRLOOP_PLANS_0_ID and the like", "plans")
	default:
		l.problemOnce("no plan is set; add your service plan under plans:, or set DLRLOOP_PLANS_0_ID and the like", "plans")
	}
	for i := range l.config.Plans {
		l.checkPlan(i)
	}
	for i := range l.config.Destinations {
		l.checkDestination(i)
	}
}

func (l *loader) checkPublic() {
	p := &l.config.Public
	l.checkAddress("public.listen", p.Listen)
	l.checkPublicURL()
	for i, proxy := range p.TrustedProxies {
		switch key := element("public.trusted_proxies", i); {
		case isNetwork(proxy):
		case strings.Contains(proxy, "%"):
			l.problem(key, "%q has an IPv6 zone; remove the %% and what follows", proxy)
		default:
			l.problem(key, "%q is neither an IP address nor a network; write 10.0.0.7 or 10.0.0.0/8", proxy)
		}
	}
	l.checkTLS("public.tls", p.TLS)
}

func (l *loader) checkPrivate() {
	p, public := l.config.Private, l.config.Public
	for i, pair := range Access(p.Credentials.Basic) {
		pair.Check(l.problemRecorder(element("private.credentials.basic", i)))
	}
	if !l.checkAddress("private.listen", p.Listen) {
		return
	}
	if conflict(p.Listen, public.Listen) {
		l.problem("private.listen", "%q conflicts with public.listen, %q; change one of the ports", p.Listen, public.Listen)
	}
	if host, _, _ := net.SplitHostPort(p.Listen); !access.LoopbackHost(host) && !p.Credentials.Any() {
		l.problemOnce(fmt.Sprintf("%q is reachable from the network, and without credentials everyone there has full "+
			"access; set private.credentials, or listen on 127.0.0.1", p.Listen), "private.listen", "private.credentials")
	}
}

// checkOneOf records a problem with the key if its value is not one of choices. The message lists the choices.
func checkOneOf[T ~string](l *loader, key string, value T, choices ...T) {
	words := make([]string, len(choices))
	for i, c := range choices {
		if value == c {
			return
		}
		words[i] = string(c)
	}
	l.problem(key, "%q is not a valid value; use %s", string(value), orList(words))
}

// orList joins words for a message: "a, b or c". It returns "" for no words.
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
