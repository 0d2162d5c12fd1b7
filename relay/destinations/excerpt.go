package destinations

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dlrloop/dlrloop/sinch"
)

// maxDetail limits a text that describes a failed request, for the log and the API, in characters. The rest is cut off.
const maxDetail = 256

// excerpt describes an answer that is not a success, in at most maxDetail characters: its status, the host to which it
// redirects, and the start of its body. Secrets and whole phone numbers are hidden.
func (s *sender) excerpt(r *http.Response, body []byte) string {
	text := "HTTP " + strconv.Itoa(r.StatusCode)
	if to, err := r.Location(); err == nil && r.StatusCode/100 == 3 {
		text += ", to " + to.Scheme + "://" + to.Host // the rest may contain the secret of our URL
	}
	if len(bytes.TrimSpace(body)) > 0 {
		text += ": " + string(body)
	}
	return sinch.Clean(text, maxDetail, s.hidden)
}

// minHidden is the shortest part of the URL, in bytes, that is hidden from logs as a possible secret. A shorter part
// may be an ordinary word, and hiding it would garble other text.
const minHidden = 8

// secretsOf returns the texts that logs and the API must not show, longest first: the credentials of the destination,
// and the path and query of its URL, as a whole and in parts, because they may contain a secret.
func secretsOf(d Destination) []string {
	secrets := []string{d.Token}
	for _, s := range d.Secrets {
		secrets = append(secrets, s, strings.TrimPrefix(s, "whsec_"))
	}
	if u, err := parseURL(d.URL); err == nil {
		secrets = append(secrets, u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery)
		parts := slices.Concat(strings.Split(u.EscapedPath(), "/"), strings.Split(u.Path, "/"))
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
		secrets = append(secrets, slices.DeleteFunc(parts, func(part string) bool { return len(part) < minHidden })...)
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" || s == "/" })
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(secrets)
}
