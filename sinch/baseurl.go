package sinch

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// apiPath is the path of the API on Sinch's host. The id of the plan or project follows it.
const apiPath = "/xms/v1/"

var (
	errURL          = errors.New("is not an http or https URL; write scheme and host, such as https://dlr.example.com")
	errExtraParts   = errors.New("has more than scheme, host and path; leave out user name, password, ? and #")
	errPort         = errors.New("has a port that is not a number from 1 to 65535")
	errDotSegments  = errors.New("has . or .. in its path; write the path without them")
	errWrongAPIPath = errors.New("has xms in its path, but does not end in /xms/v1; leave out xms and what follows, " +
		"dlrloop adds /xms/v1 and the plan's id")
)

// ParseURL checks an http or https URL and returns it without trailing slashes. The URL may have only a scheme, a host
// and a path. Errors do not contain the URL, which may include a password.
func ParseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", errURL
	case u.User != nil || strings.ContainsAny(text, "?#"):
		return "", errExtraParts
	case !portIsValid(u):
		return "", errPort
	case slices.ContainsFunc(strings.Split(u.EscapedPath(), "/"), isDotSegment):
		return "", errDotSegments
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
}

// ParseBaseURL returns the URL in text without trailing slashes, and without /xms/v1 or /xms/v1/id at its end. id is
// that of the plan or project. A URL with xms elsewhere in its path is an error.
func ParseBaseURL(text, id string) (string, error) {
	base, err := ParseURL(text)
	if err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(base, "://")
	segments := strings.Split(rest, "/") // the first is the host
	at := slices.IndexFunc(segments[1:], func(s string) bool { return strings.EqualFold(s, "xms") })
	switch {
	case at < 0 && slices.ContainsFunc(segments[1:], containsXMS):
		return "", errWrongAPIPath
	case at < 0:
		return base, nil
	}
	before, after := segments[:at+1], slices.DeleteFunc(segments[at+2:], func(s string) bool { return s == "" })
	if len(after) == 0 || len(after) > 2 || !strings.EqualFold(after[0], "v1") ||
		len(after) == 2 && after[1] != url.PathEscape(id) {
		return "", errWrongAPIPath
	}
	return scheme + "://" + strings.TrimRight(strings.Join(before, "/"), "/"), nil
}

// containsXMS reports whether a path segment contains the word xms, even if it is escaped (xms%2Fv1) or has a parameter
// (xms;v=1). A server may read such a segment as /xms.
func containsXMS(segment string) bool {
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

// isDotSegment reports whether a path segment, when unescaped, is "." or "..", or cannot be unescaped. A proxy may
// resolve such a segment and so change the path.
func isDotSegment(segment string) bool {
	plain, err := url.PathUnescape(segment)
	return err != nil || plain == "." || plain == ".."
}
