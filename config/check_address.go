package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dlrloop/dlrloop/sinch"
)

// checkAddress reports whether a listener can be given the address.
func (l *loading) checkAddress(key, address string) bool {
	host, port, err := net.SplitHostPort(address)
	number, isNumber := portOf(port)
	switch {
	case err == nil && isNumber && number > 65535:
		l.problem(key, "port %s is out of range; give 1 to 65535, or 0 for any free port", port)
	case err != nil || !isNumber || !isHost(host):
		l.problem(key, `%q is not an address to listen on; write host:port, such as ":8080" or "127.0.0.1:8080"`, address)
	default:
		return !l.isFaulty(key)
	}
	return false
}

// portOf reads a port that is written in digits alone.
func portOf(text string) (uint64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}

// isHost reports whether a listener's host is empty, an IP address or a name. A name that ends in a number is a mistyped
// address.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	name := regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)
	return len(host) <= 253 && name.MatchString(host)
}

// isNetwork reports whether a text is an IP address or a network, without a zone: proxies are compared by address.
func isNetwork(text string) bool {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Zone() == ""
	}
	_, err := netip.ParsePrefix(text)
	return err == nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// clash reports whether two listeners would want the same port of the same address.
func clash(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	numberA, _ := portOf(portA)
	numberB, _ := portOf(portB)
	if errA != nil || errB != nil || numberA != numberB || numberA == 0 {
		return false
	}
	return sameHost(hostA, hostB) || isEverywhere(hostA) || isEverywhere(hostB)
}

// sameHost reports whether two names stand for one address. localhost is that of either protocol.
func sameHost(a, b string) bool {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	switch {
	case errA == nil && errB == nil:
		return ipA.Unmap() == ipB.Unmap()
	case errA == nil:
		return strings.EqualFold(b, "localhost") && isLocalhost(ipA)
	case errB == nil:
		return strings.EqualFold(a, "localhost") && isLocalhost(ipB)
	}
	return strings.EqualFold(a, b)
}

func isLocalhost(ip netip.Addr) bool {
	return ip.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ip == netip.IPv6Loopback()
}

func isEverywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// checkURL returns the URL without a slash at its end.
func (l *loading) checkURL(key, text string) string {
	if strings.ContainsAny(text, "@?") { // there may be a password
		l.source.hidden[l.source.places[key].line] = true
	}
	parsed, err := sinch.ParseURL(text)
	if err != nil {
		l.problem(key, "%s", err)
		l.fault(key)
		return text
	}
	return parsed
}

// checkPublicURL refuses a URL that has the webhook's path already, and warns of one that Sinch cannot reach.
func (l *loading) checkPublicURL() {
	const key = "public.url"
	p := &l.config.Public
	if p.URL == "" {
		return
	}
	p.URL = l.checkURL(key, p.URL)
	u, err := url.Parse(p.URL)
	if err != nil || l.isFaulty(key) {
		return
	}
	if before, found := l.beforeWebhook(u.EscapedPath()); found {
		l.problem(key, "has the webhook's path at its end, which dlrloop adds itself; end the URL before it: %s://%s%s", u.Scheme, u.Host, before)
		return
	}
	switch {
	case isLoopback(u.Hostname()):
		l.warn(key, "names this machine; Sinch cannot call it. Write the address under which this listener is reached from the internet")
	case isExample(u.Hostname()):
		l.warn(key, "is the example's; write the address under which this listener is reached from the internet")
	case u.Scheme == "http":
		l.warn(key, "is not HTTPS: credentials and numbers cross the network in clear text")
	}
}

// beforeWebhook is what comes before a webhook's path at the end of a path: /webhooks alone, or with a plan's id and perhaps a
// token.
func (l *loading) beforeWebhook(path string) (before string, found bool) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		after := segments[i+1:]
		if strings.EqualFold(s, "webhooks") && (len(after) == 0 || len(after) <= 2 && l.isPlan(after[0])) {
			return strings.Join(segments[:i], "/"), true
		}
	}
	return "", false
}

func (l *loading) isPlan(id string) bool {
	return slices.ContainsFunc(l.config.Plans, func(p Plan) bool { return p.ID == id })
}

// isExample reports whether a host is one of those that are reserved for documentation.
func isExample(host string) bool {
	return regexp.MustCompile(`(?i)(^|\.)example\.(com|net|org)$`).MatchString(host)
}
