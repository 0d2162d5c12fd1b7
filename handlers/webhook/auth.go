package webhook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/handlers/access"
)

// Auth says how to authenticate the callbacks that Sinch sends for one service plan. A callback must pass every method
// that is set, with any one of the method's secrets. If no method is set, None must be true.
type Auth struct {
	HMAC       HMAC
	Basic      []access.Basic
	Header     Header
	PathTokens []string // accepted values of {token} in /webhooks/{plan}/{token}
	None       bool     // accept every caller without authentication; excludes all other members
}

// HMAC configures the check of Sinch's signature in the headers of a callback. The signature may cover the body as sent
// or, if that is gzip, its decompressed content. Without Secrets no signature is required.
type HMAC struct {
	Secrets []string // as text, exactly as configured at Sinch
	// MaxAge limits how far the signature's timestamp may lie before or after our clock; 0 is no limit. Sinch does not
	// document whether it signs a repeated callback anew: with less than a day, repeats may be refused.
	MaxAge time.Duration
}

// Header names a header that Sinch is set up to send with every callback, and lists the accepted values. The zero value
// requires no header.
type Header struct {
	Name   string
	Values []string
}

// Format prints *** for every verb of package fmt, so that no log contains a secret.
func (Auth) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so that no encoder, such as encoding/json, writes a secret.
func (Auth) MarshalText() ([]byte, error) { return []byte("***"), nil }

// The reasons why the authentication of a callback failed. They are logged, but not sent to the caller.
var (
	errNoBasic       = errors.New("basic: the Authorization header is missing or is not Basic")
	errBasic         = errors.New("basic: user name or password is wrong")
	errHeader        = errors.New("header: the value is missing or wrong")
	errPathToken     = errors.New("path_token: the last segment of the URL is missing or wrong")
	errNoSignature   = errors.New("hmac: signature, nonce or timestamp is missing; does Sinch sign this plan?")
	errAlgorithm     = errors.New("hmac: the algorithm is not HmacSHA256")
	errNonce         = errors.New("hmac: the nonce has a character other than letters, digits, - and _")
	errTimestamp     = errors.New("hmac: the timestamp is not a number of seconds")
	errSignature     = errors.New("hmac: the signature matches no configured secret")
	errSignatureTime = errors.New("hmac: the timestamp is out of range, or further than max_age from our clock")
)

// verifier authenticates the callbacks of one service plan by the methods in its Auth. It is safe for concurrent use.
type verifier struct {
	hmac       *signatures // nil if no signature is required
	basic      []access.Digest
	header     string // canonical name; empty if no header is required
	values     []access.Digest
	pathTokens []access.Digest
}

// newVerifier returns a verifier with the settings in a. If settings are invalid, the error has one line for each of
// them. Every line begins with key, the configuration key of the settings, such as plans[0].webhook.auth.
func newVerifier(key string, a Auth) (*verifier, error) {
	var faults access.Faults
	a.Check(faults.At(key))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	v := &verifier{
		values:     access.DigestsOf(a.Header.Values),
		pathTokens: access.DigestsOf(a.PathTokens),
	}
	if a.Header.Name != "" {
		v.header = textproto.CanonicalMIMEHeaderKey(a.Header.Name)
	}
	for _, b := range a.Basic {
		v.basic = append(v.basic, b.Digests()...)
	}
	if len(a.HMAC.Secrets) > 0 {
		v.hmac = newSignatures(a.HMAC)
	}
	return v, nil
}

// Check calls report for each invalid setting. member is the configuration key of the setting, such as header.name, or
// "" if no method is set at all. text says what is wrong. An empty list of secrets is invalid. A nil list is invalid
// only if another setting of the same method is set, such as HMAC.MaxAge.
func (a Auth) Check(report func(member, text string)) {
	kinds := len(a.HMAC.Secrets) + len(a.Basic) + len(a.Header.Values) + len(a.PathTokens)
	switch set := kinds > 0 || a.Header.Name != ""; {
	case a.None && set:
		report("none", "accepts callbacks unverified, but a method to verify them is also set; keep one of the two")
	case !a.None && !set && a.HMAC.MaxAge <= 0 && a.HMAC.Secrets == nil && a.Header.Values == nil && a.PathTokens == nil:
		report("", "no method to verify callbacks is set; set hmac, basic, header or path_token, "+
			"or none: true if only Sinch can reach the webhook")
	}
	if a.HMAC.MaxAge < 0 {
		report("hmac.max_age", "must not be negative")
	}
	checkSecrets("hmac.secrets", a.HMAC.Secrets, a.HMAC.MaxAge > 0, report)
	for i, b := range a.Basic {
		b.Check(func(member, text string) { report(fmt.Sprintf("basic[%d].%s", i, member), text) })
	}
	a.Header.checkName(report)
	checkSecrets("header.values", a.Header.Values, a.Header.Name != "", report)
	checkSecrets("path_token.values", a.PathTokens, false, report)
	if slices.ContainsFunc(a.PathTokens, func(s string) bool { return s != "" && !IsPathSegment(s) }) {
		report("path_token", "a token has characters that a URL's path does not allow; use letters, digits, - and _")
	}
}

// checkSecrets calls report for each empty secret and for an empty list. A nil list is reported only if required is
// true. member is the name of the list in the configuration, such as hmac.secrets.
func checkSecrets(member string, secrets []string, required bool, report func(member, text string)) {
	if len(secrets) == 0 && (required || secrets != nil) {
		name := member[strings.Index(member, ".")+1:]
		report(member, fmt.Sprintf("no secret is set; set %s_files or %s", strings.TrimSuffix(name, "s"), name))
	}
	for i, s := range secrets {
		if s == "" {
			report(fmt.Sprintf("%s[%d]", member, i), "is empty; remove it, or write the secret")
		}
	}
}

// IsPathSegment reports whether text can be one segment of a URL's path without percent-encoding. It returns false for
// "", "." and "..".
func IsPathSegment(text string) bool {
	return text != "" && text != "." && text != ".." && url.PathEscape(text) == text
}

// checkHead authenticates a callback by its URL and headers, before the body is read. If the plan has PathTokens, token
// must be one of them; it is the part of the URL's path after the plan id. If the plan has HMAC, checkHead checks only
// the format and the age of the signature. Verify the signature with v.hmac.verifies after reading the body.
func (v *verifier) checkHead(r *http.Request, token string) error {
	if v.basic != nil {
		user, password, ok := r.BasicAuth()
		switch {
		case !ok:
			return errNoBasic
		case !access.DigestOf(user + ":" + password).In(v.basic):
			return errBasic
		}
	}
	if v.header != "" && !access.DigestOf(r.Header.Get(v.header)).In(v.values) {
		return errHeader
	}
	if v.pathTokens != nil && !access.DigestOf(token).In(v.pathTokens) {
		return errPathToken
	}
	if v.hmac != nil {
		return v.hmac.checkHead(r.Header)
	}
	return nil
}
