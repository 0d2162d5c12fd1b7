package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// check tells everything that cannot work, or should not.
func (l *loading) check() {
	l.checkPublic()
	l.checkPrivate()
	l.checkGateway()
	l.checkStore()
	l.checkReplica()
	choose(l, "log.level", l.config.Log.Level, "debug", "info", "warn", "error")
	choose(l, "log.format", l.config.Log.Format, FormatAuto, FormatJSON, FormatText)
	positive(l, "shutdown_timeout", l.config.ShutdownTimeout)
	if len(l.config.Plans) == 0 {
		l.missing("there is no plan; add your service plan under plans:, or set DLRLOOP_PLANS_0_ID and the like", "plans")
	}
	for i := range l.config.Plans {
		l.checkPlan(i)
	}
}

// maxBody is the largest body that is sure to fit in one frame of the store's journal.
const maxBody ByteSize = 256 << 20

func (l *loading) checkPublic() {
	p := &l.config.Public
	l.checkAddress("public.listen", p.Listen)
	if p.URL != "" {
		p.URL = l.checkURL("public.url", p.URL)
	}
	positive(l, "public.max_body", p.MaxBody)
	if p.MaxBody > maxBody {
		l.problem("public.max_body", "%s is more than can be kept of one callback; give at most %s", p.MaxBody, maxBody)
	}
	if p.Memory/4 < p.MaxBody {
		l.problem("public.memory", "%s is not enough for one callback of public.max_body, %s, compressed and not; give it at least four times that", p.Memory, p.MaxBody)
	}
	for i, proxy := range p.TrustedProxies {
		if _, err := netip.ParseAddr(proxy); err == nil {
			continue
		}
		if _, err := netip.ParsePrefix(proxy); err != nil {
			l.problem(element("public.trusted_proxies", i), "%q is neither an IP address nor a network; write 10.0.0.7 or 10.0.0.0/8", proxy)
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

// checkAddress reports whether a listener can be given the address.
func (l *loading) checkAddress(key, address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, "/ ") {
		l.problem(key, `%q is not an address to listen on; write host:port, such as ":8080" or "127.0.0.1:8080"`, address)
		return false
	}
	return true
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// clash reports whether two listeners would want the same port of the same address.
func clash(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEverywhere(hostA) || isEverywhere(hostB)
}

func isEverywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// checkURL returns the URL without a slash at its end.
func (l *loading) checkURL(key, text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		l.problem(key, "is not a URL; write it with scheme and host, such as https://dlr.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.problem(key, "has more than scheme, host and path; leave out user name, password, ? and #")
	}
	if strings.ContainsAny(text, "@?") { // there may be a password
		l.source.hidden[l.source.places[key].line] = true
	}
	return strings.TrimRight(text, "/")
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

// positive refuses zero and less.
func positive[T ~int | ~int64 | ~float64](l *loading, key string, value T) {
	if value <= 0 {
		l.problem(key, "%v must be more than 0", value)
	}
}
