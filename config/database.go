package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// database is what is looked at of a database's URL.
type database struct {
	hosts   []string // none: this machine
	sslmode string   // as written; empty: the default, which verifies nothing
}

// readDatabase reads the two forms that libpq knows, as far as needed to tell a database's URL from something else. No part of
// the text may be told to anybody: any of it may be a password that was written in the wrong place.
func readDatabase(text Secret) (d database, understood bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, found := strings.CutPrefix(text.Reveal(), scheme); found {
			return readDatabaseURL(rest)
		}
	}
	return readKeywords(text.Reveal())
}

// readDatabaseURL reads user:password@host:port,host:port/name?parameters. It is no URL of net/url's: there can be several hosts.
func readDatabaseURL(text string) (d database, understood bool) {
	before, query, _ := strings.Cut(text, "?")
	authority, _, _ := strings.Cut(before, "/")
	_, authority = cutLast(authority, "@")
	for host := range strings.SplitSeq(authority, ",") {
		if strings.HasPrefix(host, "[") { // IPv6
			host, _, _ = strings.Cut(host[1:], "]")
		} else {
			host, _, _ = strings.Cut(host, ":")
		}
		d.hosts = append(d.hosts, host)
	}
	parameters, err := url.ParseQuery(query)
	if err != nil || strings.ContainsAny(before, " #") {
		return database{}, false
	}
	if parameters.Has("host") {
		d.hosts = strings.Split(parameters.Get("host"), ",")
	}
	d.sslmode = parameters.Get("sslmode")
	return d, true
}

// cutLast is strings.Cut at the last sep; without one, all is after it.
func cutLast(text, sep string) (before, after string) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):]
	}
	return "", text
}

// keyword is one keyword with its value, which may be quoted.
const keyword = `\s*([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*|)(?:\s+|$)`

func readKeywords(text string) (d database, understood bool) {
	if !regexp.MustCompile(`^(?:` + keyword + `)+$`).MatchString(text) {
		return database{}, false
	}
	for _, found := range regexp.MustCompile(keyword).FindAllStringSubmatch(text, -1) {
		switch value := strings.Trim(found[2], "'"); found[1] {
		case "host":
			d.hosts = strings.Split(value, ",")
		case "sslmode":
			d.sslmode = value
		}
	}
	return d, true
}

// verified reports whether it is certain that it is the database that is spoken to: it is on this machine, or shows a certificate.
func (d database) verified() bool {
	return d.sslmode == "verify-full" || d.sslmode == "verify-ca" || !slices.ContainsFunc(d.hosts, func(host string) bool {
		return host != "" && !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "@") && !isLoopback(host)
	})
}
