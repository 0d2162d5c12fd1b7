package config

import (
	"crypto/tls"
	"net/url"
	"time"
)

// checkCertificate warns if the certificate in pair has expired, or is not valid yet, at the given time. For the
// certificate of the public listener it also warns if the certificate is not for the host of public.url. key is the
// setting that names the certificate's file, such as public.tls.cert_file.
func (l *loader) checkCertificate(key string, pair tls.Certificate, now time.Time) {
	leaf := pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		l.warn(key, "expired on %s; callers reject it", leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		l.warn(key, "is not valid before %s; callers reject it until then", leaf.NotBefore.UTC().Format(time.DateOnly))
	}
	public, err := url.Parse(l.config.Public.URL)
	if err != nil || public.Hostname() == "" || public.Scheme != "https" || parent(key) != "public.tls" {
		return
	}
	if leaf.VerifyHostname(public.Hostname()) != nil {
		l.warn(key, "is not a certificate for %s, the host of public.url; "+
			"Sinch rejects it unless a proxy in front has its own", public.Hostname())
	}
}
