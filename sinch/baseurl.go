package sinch

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// apiPath is where the API begins at an origin; the plan's segment follows.
const apiPath = "/xms/v1/"

var (
	errURL    = errors.New("is not an http or https URL; write scheme and host, such as https://dlr.example.com")
	errExtra  = errors.New("has more than scheme, host and path; leave out user name, password, ? and #")
	errPort   = errors.New("has a port that is not a number from 1 to 65535")
	errSteps  = errors.New("has . or .. in its path; write the path without them")
	errBeyond = errors.New("has xms in its path, but does not end in /xms/v1; leave out xms and what follows, dlrloop adds /xms/v1 and the plan's id")
)

// ParseURL reads an http or https URL to which a path can be added, and returns it without a slash at its end. The error does
// not contain the URL, which may hold a password.
func ParseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", errURL
	case u.User != nil || strings.ContainsAny(text, "?#"):
		return "", errExtra
	case !portIsValid(u):
		return "", errPort
	case slices.ContainsFunc(strings.Split(u.EscapedPath(), "/"), isStep):
		return "", errSteps
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
}

// ParseBaseURL reads a base URL for the plan or project with this id and returns the part to which /xms/v1 is added, without a
// slash at its end. People copy whole addresses, so /xms/v1 at its end is cut off, alone or with the id. Any other URL with a
// segment xms is an error, because no API is there.
func ParseBaseURL(text, id string) (string, error) {
	base, err := ParseURL(text)
	if err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(base, "://")
	segments := strings.Split(rest, "/") // the first is the host
	at := slices.IndexFunc(segments[1:], func(s string) bool { return strings.EqualFold(s, "xms") })
	switch {
	case at < 0 && slices.ContainsFunc(segments[1:], hidesAPI):
		return "", errBeyond
	case at < 0:
		return base, nil
	}
	before, after := segments[:at+1], slices.DeleteFunc(segments[at+2:], func(s string) bool { return s == "" })
	if len(after) == 0 || len(after) > 2 || !strings.EqualFold(after[0], "v1") || len(after) == 2 && after[1] != url.PathEscape(id) {
		return "", errBeyond
	}
	return scheme + "://" + strings.TrimRight(strings.Join(before, "/"), "/"), nil
}

// hidesAPI reports whether a segment holds xms behind an escape, such as xms%2Fv1, or beside a parameter. A server may take it
// for the API's path, to which another would be added.
func hidesAPI(segment string) bool {
	for strings.Contains(segment, "%") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			break
		}
		segment = plain
	}
	words := strings.FieldsFunc(segment, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	})
	return slices.ContainsFunc(words, func(s string) bool { return strings.EqualFold(s, "xms") })
}

func portIsValid(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// isStep reports whether a segment of a path is . or .., escaped or not: a proxy that normalises the path takes it for a step.
func isStep(segment string) bool {
	plain, err := url.PathUnescape(segment)
	return err != nil || plain == "." || plain == ".."
}
