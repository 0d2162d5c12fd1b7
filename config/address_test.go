package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInvalidListenAddressesAreRejected(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:99999": "port 99999 is out of range; use 1 to 65535, or 0 for any free port",
		":65536":          "port 65536 is out of range; use 1 to 65535, or 0 for any free port",
		"127.0.0.1:-1":    "is not an address to listen on", "127.0.0.1:+1": "is not an address to listen on",
		"127.0.0.1:": "is not an address to listen on", "127.0.0.1:http": "is not an address to listen on",
		"256.0.0.1:0": "is not an address to listen on", "10.0.0:0": "is not an address to listen on",
		"10:0":  "is not an address to listen on",
		"::1:0": "is not an address to listen on", "http://localhost:0": "is not an address to listen on",
		"a b:0": "is not an address to listen on",
		"-a:0":  "is not an address to listen on", "a..b:0": "is not an address to listen on",
		"é:0": "is not an address to listen on",
	} {
		got, _ := refused(t, minimal, nil, "DLRLOOP_PUBLIC_LISTEN="+address)
		assert.Contains(t, got, want, address)
	}
	for _, address := range []string{
		":0", "127.0.0.1:0", "[::1]:0", "[::]:8443", "localhost:0",
		"dlr_loop.internal.:65535", "a-1.b2:080",
	} {
		_, err := load(t, minimal, "DLRLOOP_PUBLIC_LISTEN="+address)
		require.NoError(t, err, address)
	}
}

func TestConflictingListenersAreRejected(t *testing.T) {
	for _, pair := range [][2]string{
		{"localhost:8443", "127.0.0.1:8443"},
		{"[::1]:8443", "LocalHost:8443"},
		{"127.0.0.1:8443", "127.0.0.1:08443"},
		{"0.0.0.0:8443", "127.0.0.2:8443"},
		{"[::ffff:127.0.0.1]:8443", "127.0.0.1:8443"},
		{":8443", "127.0.0.1:8443"},
		{"[::]:8443", "localhost:8443"},
	} {
		got, _ := refused(t, minimal, nil, "DLRLOOP_PUBLIC_LISTEN="+pair[0], "DLRLOOP_PRIVATE_LISTEN="+pair[1])
		assert.Contains(t, got, "conflicts with public.listen", pair)
	}
	for _, pair := range [][2]string{
		{"127.0.0.2:8443", "127.0.0.1:8443"},
		{"127.0.0.2:8443", "localhost:8443"},
		{"127.0.0.1:0", "127.0.0.1:0"},
	} {
		_, err := load(t, minimal, "DLRLOOP_PUBLIC_LISTEN="+pair[0], "DLRLOOP_PRIVATE_LISTEN="+pair[1])
		require.NoError(t, err, pair)
	}
}

func TestInvalidTrustedProxiesAreRejected(t *testing.T) {
	for proxy, want := range map[string]string{
		"fe80::1%lo":    "has an IPv6 zone; remove the % and what follows",
		"fe80::%1/64":   "has an IPv6 zone; remove the % and what follows",
		"10.0.0.0/33":   "is neither an IP address nor a network",
		"10.0.0.0/":     "is neither an IP address nor a network",
		"10.0.0.1/08":   "is neither an IP address nor a network",
		"10.0.0.01":     "is neither an IP address nor a network",
		"10.0.0.1:8080": "is neither an IP address nor a network",
		"proxy":         "is neither an IP address nor a network",
	} {
		got, _ := refused(t, "public: {trusted_proxies: [\""+proxy+"\"]}\n"+minimal, nil)
		assert.Contains(t, got, "config.yaml:1:28: public.trusted_proxies[0]: \""+proxy+"\" "+want, proxy)
	}
}

func TestBaseURLsAndPublicURLsWithAPath(t *testing.T) {
	for _, base := range []string{
		"http://127.0.0.1:9200", "http://127.0.0.1:9200/xms/v1",
		"http://127.0.0.1:9200/XMS/v1/plan-a/", "HTTP://127.0.0.1:9200//",
	} {
		c, err := load(t, strings.Replace(minimal, region, "base_url: \""+base+"\"", 1))
		require.NoError(t, err, base)
		require.Equal(t, "http://127.0.0.1:9200", c.Plans[0].BaseURL)
	}
	for base, want := range map[string]string{
		"http://h/xms/v1/plan-b": "has xms in its path, but does not end in /xms/v1; leave out xms and what follows, " +
			"dlrloop adds /xms/v1 and the plan's id",
		"http://h/?a":     "has more than scheme, host and path; leave out user name, password, ? and #",
		"http://h?":       "has more than scheme, host and path; leave out user name, password, ? and #",
		"http://h#":       "has more than scheme, host and path; leave out user name, password, ? and #",
		"http://h:70000":  "has a port that is not a number from 1 to 65535",
		"http://h/a/../b": "has . or .. in its path; write the path without them",
	} {
		got, _ := refused(t, strings.Replace(minimal, region, "base_url: \""+base+"\"", 1), nil)
		require.Equal(t, "config.yaml:3:15: plans[0].base_url: "+want, got)
	}
	for url, before := range map[string]string{
		"https://dlr.acme.test/webhooks/plan-a":     "https://dlr.acme.test",
		"https://dlr.acme.test/webhooks/plan-a/tok": "https://dlr.acme.test",
		"https://dlr.acme.test/sms/webhooks/":       "https://dlr.acme.test/sms",
		"https://dlr.acme.test/Webhooks":            "https://dlr.acme.test",
	} {
		got, _ := refused(t, minimal, nil, "DLRLOOP_PUBLIC_URL="+url)
		require.Equal(t, "$DLRLOOP_PUBLIC_URL: public.url: ends with the webhook's path, which dlrloop adds itself; "+
			"remove the path: "+before, got)
	}
	c, err := load(t, minimal, "DLRLOOP_PUBLIC_URL=https://dlr.acme.test/webhooks/sinch/eu")
	require.NoError(t, err)
	require.Equal(t, "https://dlr.acme.test/webhooks/sinch/eu", c.Public.URL)
}

func TestWarnsOfAPublicURLThatSinchCannotCall(t *testing.T) {
	for url, want := range map[string]string{
		"http://dlr.acme.test":    "is not HTTPS",
		"https://localhost:8443":  "is a loopback address",
		"http://127.0.0.1":        "is a loopback address",
		"https://dlr.example.com": "is the example's host",
	} {
		c, err := load(t, minimal, "DLRLOOP_PUBLIC_URL="+url)
		require.NoError(t, err)
		require.Len(t, c.Warnings, 1, url)
		require.Contains(t, c.Warnings[0].Message, want)
	}
}
