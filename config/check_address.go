package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/sinch"
)

// checkAddress reports whether address, the value of key, has the form host:port that a listener can use. If not, it
// records a problem with key. It also returns false if key is already marked as invalid. It does not open a listener.
func (l *loader) checkAddress(key, address string) bool {
	host, port, err := net.SplitHostPort(address)
	number, isNumber := portOf(port)
	switch {
	case err == nil && isNumber && number > 65535:
		l.problem(key, "port %s is out of range; use 1 to 65535, or 0 for any free port", port)
	case err != nil || !isNumber || !isHost(host):
		l.problem(key, `%q is not an address to listen on; write host:port, such as ":8080" or "127.0.0.1:8080"`, address)
	default:
		return !l.isInvalid(key)
	}
	return false
}

// portOf parses a port number of decimal digits, and returns false for other text. It accepts numbers above 65535,
// which the caller must reject.
func portOf(text string) (uint64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}

// isHost reports whether host is empty, an IP address or a host name. It rejects a name whose last label begins with a
// digit, such as 10.0.0.300, because that is a mistyped IP address.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	const labels = `([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*`
	name := regexp.MustCompile(`^` + labels + `[A-Za-z_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)
	return len(host) <= 253 && name.MatchString(host)
}

// isNetwork reports whether text is an IP address or a network such as 10.0.0.0/8. It rejects an IPv6 zone, because
// client addresses are compared without one.
func isNetwork(text string) bool {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Zone() == ""
	}
	_, err := netip.ParsePrefix(text)
	return err == nil
}

// conflict reports whether the listen addresses a and b, host:port, cannot be in use at the same time. This is so if
// their ports are equal and their hosts overlap: both hosts are equal, or one stands for all addresses of the machine.
// Port 0 never conflicts, because it means any free port. A malformed address never conflicts either.
func conflict(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	numberA, _ := portOf(portA)
	numberB, _ := portOf(portB)
	if errA != nil || errB != nil || numberA != numberB || numberA == 0 {
		return false
	}
	return sameHost(hostA, hostB) || isWildcard(hostA) || isWildcard(hostB)
}

// sameHost reports whether two hosts are the same IP address or the same name. It treats localhost as equal to
// 127.0.0.1 and to ::1, and resolves no other name. An address that stands for all addresses, such as 0.0.0.0, is equal
// only to itself.
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

func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// checkURL returns text, a URL, without trailing slashes. A valid URL begins with http:// or https:// and has only a
// host and a path. If the URL is invalid, checkURL records a problem with key and returns text unchanged.
func (l *loader) checkURL(key, text string) string {
	if strings.ContainsAny(text, "@?") { // the URL may contain a password
		l.source.maskedLines[l.source.places[key].line] = true
	}
	cleaned, err := sinch.ParseURL(text)
	if err != nil {
		l.problem(key, "%s", err)
		l.markInvalid(key)
		return text
	}
	return cleaned
}

// checkPublicURL records a problem if public.url ends with the webhook's path, which dlrloop adds itself. It warns if
// Sinch cannot reach the host, such as localhost, or if the URL is not HTTPS. It makes no network call.
func (l *loader) checkPublicURL() {
	const key = "public.url"
	p := &l.config.Public
	if p.URL == "" {
		return
	}
	p.URL = l.checkURL(key, p.URL)
	u, err := url.Parse(p.URL)
	if err != nil || l.isInvalid(key) {
		return
	}
	if before, found := l.cutWebhookPath(u.EscapedPath()); found {
		l.problem(key, "ends with the webhook's path, which dlrloop adds itself; remove the path: %s://%s%s",
			u.Scheme, u.Host, before)
		return
	}
	switch {
	case access.LoopbackHost(u.Hostname()):
		l.warn(key, "is a loopback address, which Sinch cannot call; "+
			"write the address under which the internet reaches this listener")
	case isExample(u.Hostname()):
		l.warn(key, "is the example's host; write the address under which the internet reaches this listener")
	case u.Scheme == "http":
		l.warn(key, "is not HTTPS: credentials and numbers cross the network in clear text")
	}
}

// cutWebhookPath reports whether path, the path of a URL, ends with the path of a webhook: /webhooks, or
// /webhooks/{plan} or /webhooks/{plan}/{token} for a configured plan. before is what precedes this ending, or "" if
// path does not have it.
func (l *loader) cutWebhookPath(path string) (before string, found bool) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		after := segments[i+1:]
		if strings.EqualFold(s, "webhooks") && (len(after) == 0 || len(after) <= 2 && l.isPlan(after[0])) {
			return strings.Join(segments[:i], "/"), true
		}
	}
	return "", false
}

func (l *loader) isPlan(id string) bool {
	return slices.ContainsFunc(l.config.Plans, func(p Plan) bool { return p.ID == id })
}

// isExample reports whether host is example.com, example.net or example.org, or a name below one of them, such as
// www.example.com. These names are reserved for documentation.
func isExample(host string) bool {
	return regexp.MustCompile(`(?i)(^|\.)example\.(com|net|org)$`).MatchString(host)
}
