package config

import (
	"net/url"
	"regexp"
	"strings"
)

// readSettings parses a URL or keywords and values, the two forms of a connection string in libpq. ok is false if
// text is neither.
func readSettings(text Secret) (s settings, ok bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, found := strings.CutPrefix(text.Reveal(), scheme); found {
			return readDatabaseURL(rest)
		}
	}
	return readKeywords(text.Reveal())
}

// readDatabaseURL parses user:password@host:port,host:port/name?parameters. It does not use net/url, because there
// may be several hosts. It rejects a second @: the rest would be read as host or name, but may be part of a password.
func readDatabaseURL(text string) (s settings, ok bool) {
	before, query, _ := strings.Cut(text, "?")
	authority, name, _ := strings.Cut(before, "/")
	user, password := "", ""
	if i := strings.Index(authority, "@"); i >= 0 {
		user, password, _ = strings.Cut(authority[:i], ":")
		authority = authority[i+1:]
	}
	if strings.ContainsAny(before, " #") || strings.Contains(authority+name, "@") {
		return nil, false
	}
	hosts, ports, ok := readHosts(authority)
	if !ok {
		return nil, false
	}
	s = make(settings)
	for member, written := range map[string]string{
		"user": user, "password": password, "host": hosts, "port": ports, "dbname": name,
	} {
		value, err := url.PathUnescape(written)
		if err != nil || strings.Contains(value, "\x00") {
			return nil, false
		}
		if value != "" {
			s[member] = value
		}
	}
	return s, s.readParameters(query)
}

// readHosts parses host:port,host:port into libpq's two lists, the hosts and the ports.
func readHosts(authority string) (hosts, ports string, ok bool) {
	var names, numbers []string
	for place := range strings.SplitSeq(authority, ",") {
		host, port, found := strings.Cut(place, ":")
		if strings.HasPrefix(place, "[") { // IPv6
			var rest string
			if host, rest, found = strings.Cut(place[1:], "]"); !found || host == "" {
				return "", "", false
			}
			if rest, port, found = strings.Cut(rest, ":"); rest != "" {
				return "", "", false
			}
		}
		if !found {
			port = ""
		}
		names, numbers = append(names, host), append(numbers, port)
	}
	return strings.Join(names, ","), strings.Join(numbers, ","), true
}

// readParameters adds the parameters after the question mark.
func (s settings) readParameters(query string) (ok bool) {
	query = strings.TrimSuffix(query, "&")
	if query == "" {
		return true
	}
	word := regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.]*)=([^= #]*)$`)
	for pair := range strings.SplitSeq(query, "&") {
		found := word.FindStringSubmatch(pair)
		if found == nil {
			return false
		}
		name := found[1]
		value, err := url.PathUnescape(found[2])
		if err != nil || strings.Contains(value, "\x00") {
			return false
		}
		if name == "ssl" && value == "true" {
			name, value = "sslmode", "require"
		}
		s.set(name, value)
	}
	return true
}

func (s settings) set(name, value string) {
	if name == "database" {
		name = "dbname"
	}
	s[name] = value
}

// keyword matches one keyword with its value, which may be quoted.
const keyword = `\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*|))(?:\s+|$)`

func readKeywords(text string) (s settings, ok bool) {
	if !regexp.MustCompile(`^(?:` + keyword + `)+$`).MatchString(text) {
		return nil, false
	}
	s = make(settings)
	for _, found := range regexp.MustCompile(keyword).FindAllStringSubmatch(text, -1) {
		value := regexp.MustCompile(`\\(.)`).ReplaceAllString(found[2]+found[3], "$1")
		if found[1] != "password" && strings.Contains(value, "://") {
			return nil, false // a URL as the value of another keyword may contain a password
		}
		if found[1] != "user" || value != "" {
			s.set(found[1], value)
		}
	}
	return s, true
}
