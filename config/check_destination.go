package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/relay/destinations"
)

func (l *loader) checkDestination(i int) {
	d, key := l.config.Destinations[i], element("destinations", i)
	if name, added := l.createdBy[key]; added && d.Name == "" && !l.isInvalid(below(key, "name")) {
		l.add(Problem{Variable: name, Key: key, Message: fmt.Sprintf(
			"there is no such destination: destinations are numbered from 0, and %s has no name; correct the number, "+
				"or also set $%s", key, variable(below(key, "name")))})
		return
	}
	delivery := d.Delivery()
	if l.reloading {
		delivery.CertFile, delivery.KeyFile, delivery.CAFile = "", "", "" // the running server reads them itself
	}
	record := l.problemRecorder(key)
	delivery.Check(func(member, text string) {
		if member != "token" && !strings.HasPrefix(member, "secrets[") { // readSecrets has checked them
			record(member, text)
		}
	})
	for n, before := range l.config.Destinations[:i] {
		if d.Name != "" && before.Name == d.Name {
			l.problem(below(key, "name"), "%q is already the name of %s; names must differ", d.Name,
				element("destinations", n))
		}
	}
	for n, plan := range d.Plans {
		if l.isPlan(plan) {
			continue
		}
		advice := "configure it under plans"
		if ids := l.planIDs(); len(ids) > 0 {
			advice = "use " + orList(ids)
		}
		l.problem(element(below(key, "plans"), n), "%q is not the id of a plan; %s", plan, advice)
	}
	u, err := url.Parse(d.URL)
	switch {
	case err != nil:
	case l.isOwnWebhook(u):
		l.problem(below(key, "url"), "is the webhook of this dlrloop, so each event would cause another one; "+
			"write the URL of your application")
	case isExample(u.Hostname()):
		l.warn(below(key, "url"), "is the example's host; write the URL of your application")
	case u.Scheme == "http" && !access.LoopbackHost(u.Hostname()):
		l.warn(below(key, "url"), "is not HTTPS: numbers and credentials cross the network in clear text")
	}
}

// isOwnWebhook reports whether u, the URL of a destination, is the webhook of this dlrloop: at the host of public.url,
// or at the port of the public listener on this machine.
func (l *loader) isOwnWebhook(u *url.URL) bool {
	if _, found := l.cutWebhookPath(u.EscapedPath()); !found {
		return false
	}
	public, err := url.Parse(l.config.Public.URL)
	if err == nil && public.Host != "" && strings.EqualFold(u.Host, public.Host) {
		return true
	}
	_, port, err := net.SplitHostPort(l.config.Public.Listen)
	return err == nil && u.Port() == port && access.LoopbackHost(u.Hostname())
}

func (l *loader) planIDs() []string {
	ids := make([]string, len(l.config.Plans))
	for i, p := range l.config.Plans {
		ids[i] = p.ID
	}
	return ids
}

// destinationSecrets reads the files that hold secrets of the destinations into the configuration. It records a problem
// for each file and secret that cannot be used.
func (l *loader) destinationSecrets() {
	for i := range l.config.Destinations {
		d, key := &l.config.Destinations[i], element("destinations", i)
		// The path or the query of the URL may be a secret.
		l.source.maskedLines[l.source.places[below(key, "url")].line] = true
		l.secret(below(key, "token"), &d.Token, d.TokenFile, l.checkToken)
		l.secrets(below(key, "secrets"), &d.Secrets, d.SecretFiles, l.checkSigningSecret)
		d.Secrets = slices.DeleteFunc(d.Secrets, func(s Secret) bool { return s == "" })
	}
}

// checkSigningSecret records a problem with key if s is a placeholder, or not a signing secret of Standard Webhooks:
// whsec_ followed by base64.
func (l *loader) checkSigningSecret(key string, s Secret) {
	err := destinations.CheckSecret(s.Reveal())
	if isPlaceholder(s.Reveal()) {
		err = errPlaceholder
	}
	if err != nil {
		l.problem(key, "%s", err)
		l.markInvalid(key)
	}
}
