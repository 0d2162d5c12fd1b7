package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/handlers/access"
)

// Auth configures how the callbacks of a plan are authenticated. A callback must pass every kind that is set. Several
// secrets of one kind are alternatives, so a secret can be rotated without refusing a callback.
type Auth struct {
	HMAC       HMAC
	Basic      []access.Basic
	Header     Header
	PathTokens []string // the token of /webhooks/{plan}/{token}
	None       bool     // accept every caller without authentication; excludes all other members
}

// HMAC configures the verification of Sinch's signature, which covers the body. Sinch does not document whether it
// signs a compressed body before or after compression, so either is accepted.
type HMAC struct {
	Secrets []string // as text, exactly as configured at Sinch
	// MaxAge limits how far the signature's timestamp may lie before or after our clock; 0 is no limit. Sinch does not
	// document whether it signs a repeated callback anew: with less than a day, repeats may be refused.
	MaxAge time.Duration
}

// Header configures a header that Sinch was asked to send, and its accepted values.
type Header struct {
	Name   string
	Values []string
}

// Format prints *** for every verb, so no secret reaches a log.
func (Auth) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so no secret reaches an encoded text.
func (Auth) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Reasons why authentication failed. They go to the log only: the answer does not say which one applied.
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

// verifier authenticates the callbacks of one plan.
type verifier struct {
	hmac       *signatures // nil if no signature is required
	basic      []access.Digest
	header     string // canonical name; empty if no header is required
	values     []access.Digest
	pathTokens []access.Digest
}

// newVerifier returns the verifier for a. key is the configuration key of a; errors name it and the faulty member.
func newVerifier(key string, a Auth) (*verifier, error) {
	if err := a.validate(key); err != nil {
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

func (a Auth) validate(key string) error {
	kinds := len(a.HMAC.Secrets) + len(a.Basic) + len(a.Header.Values) + len(a.PathTokens)
	switch {
	case a.None && (kinds > 0 || a.Header.Name != ""):
		return fmt.Errorf("%s.none: true turns authentication off, but credentials are set: remove one of them", key)
	case a.Header.Name == "" && len(a.Header.Values) > 0:
		return fmt.Errorf("%s.header.name: empty: name the header that carries the value", key)
	case a.Header.Name != "" && len(a.Header.Values) == 0:
		return fmt.Errorf("%s.header.values: empty: set the value that Sinch sends", key)
	case a.HMAC.MaxAge < 0:
		return fmt.Errorf("%s.hmac.max_age: negative: set the largest age of a signature, or 0 for no limit", key)
	case a.HMAC.MaxAge > 0 && len(a.HMAC.Secrets) == 0:
		return fmt.Errorf("%s.hmac.secrets: empty: set the secret that Sinch signs with", key)
	case !a.None && kinds == 0:
		return fmt.Errorf("%s: empty: set hmac, basic, header or path_token, or none: true to accept every caller", key)
	}
	if a.Header.Name != "" {
		if err := CheckHeaderName(a.Header.Name); err != nil {
			return fmt.Errorf("%s.header.name: %w", key, err)
		}
	}
	for i, b := range a.Basic {
		if err := b.Check(); err != nil {
			return fmt.Errorf("%s.basic[%d]: %w", key, i, err)
		}
	}
	return cmp.Or(
		noneEmpty(key+".hmac.secrets", a.HMAC.Secrets),
		noneEmpty(key+".header.values", a.Header.Values),
		noneEmpty(key+".path_token.values", a.PathTokens),
	)
}

// noneEmpty returns an error if a secret is empty: anybody could send that one.
func noneEmpty(key string, secrets []string) error {
	if i := slices.Index(secrets, ""); i >= 0 {
		return fmt.Errorf("%s[%d]: empty: set it or remove it", key, i)
	}
	return nil
}

// head authenticates a request as far as its head allows, so that the bodies of callers without credentials are not
// read. token is the last segment of the path.
func (v *verifier) head(r *http.Request, token string) error {
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
		return v.hmac.head(r.Header)
	}
	return nil
}
