package handlers

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// Auth says how the callbacks of a plan are verified. Every kind that is set must verify; of several secrets of one kind
// any one does, so that a secret can be changed without a callback refused.
type Auth struct {
	HMAC       HMAC
	Basic      []BasicCredential
	Header     Header
	PathTokens []string // /webhooks/{plan}/{token}
	None       bool     // nothing is verified: whoever reaches the listener is believed. Nothing else may be set then
}

// HMAC verifies Sinch's signature, which covers the body. Whether Sinch signs a compressed body before or after compressing it is
// not known, so either is taken.
type HMAC struct {
	Secrets []string // as text, the way Sinch was given them
	// MaxAge is how old a signature may be, or how far ahead; 0 is any age. Whether Sinch signs its repeats anew is not
	// known: with less than a day they may be refused.
	MaxAge time.Duration
}

// Header verifies a header that Sinch was asked to send.
type Header struct {
	Name   string
	Values []string
}

// Format prints *** for every verb.
func (Auth) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText gives *** to encoders.
func (Auth) MarshalText() ([]byte, error) { return []byte("***"), nil }

// The reasons why credentials do not verify. They are for the log: the other side is not told which.
var (
	errNoBasic       = errors.New("basic: the Authorization header is missing or is not Basic")
	errBasic         = errors.New("basic: user name or password is wrong")
	errHeader        = errors.New("header: its value is missing or wrong")
	errPathToken     = errors.New("path_token: the last segment of the URL is missing or wrong")
	errNoSignature   = errors.New("hmac: signature, nonce or timestamp is missing: is signing switched on for this plan at Sinch?")
	errAlgorithm     = errors.New("hmac: the algorithm is not HmacSHA256")
	errNonce         = errors.New("hmac: the nonce has a character other than letters, digits, - and _")
	errTimestamp     = errors.New("hmac: the timestamp is not a number of seconds")
	errSignature     = errors.New("hmac: no secret verifies the signature")
	errSignatureTime = errors.New("hmac: the timestamp is older than max_age, ahead of our clock by more, or out of range")
)

// verifier verifies the callbacks of one plan.
type verifier struct {
	hmac       *signatures // nil where none is asked for
	basic      []digest
	header     string // in canonical form; empty where none is asked for
	values     []digest
	pathTokens []digest
}

// newVerifier makes a verifier, or says what is wrong with the member of a; key is where a stands in the configuration.
func newVerifier(key string, a Auth) (*verifier, error) {
	if err := a.validate(key); err != nil {
		return nil, err
	}
	v := &verifier{
		values:     digestsOf(a.Header.Values),
		pathTokens: digestsOf(a.PathTokens),
	}
	if a.Header.Name != "" {
		v.header = textproto.CanonicalMIMEHeaderKey(a.Header.Name)
	}
	for _, b := range a.Basic {
		v.basic = append(v.basic, b.digests()...)
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
		return fmt.Errorf("%s.none: it says that nothing is verified, yet credentials are set beside it: remove one of them", key)
	case a.Header.Name == "" && len(a.Header.Values) > 0:
		return fmt.Errorf("%s.header.name: empty: name the header that carries the value", key)
	case a.Header.Name != "" && len(a.Header.Values) == 0:
		return fmt.Errorf("%s.header.values: none: set the value that Sinch sends", key)
	case a.HMAC.MaxAge < 0:
		return fmt.Errorf("%s.hmac.max_age: below zero: set how old a signature may be, or 0 for any age", key)
	case a.HMAC.MaxAge > 0 && len(a.HMAC.Secrets) == 0:
		return fmt.Errorf("%s.hmac.secrets: none: set the secret that Sinch signs with", key)
	case !a.None && kinds == 0:
		return fmt.Errorf("%s: empty: set hmac, basic, header or path_token, or none: true to believe everybody", key)
	}
	for i, b := range a.Basic {
		if b.User == "" || strings.Contains(b.User, ":") || b.Password == "" {
			return fmt.Errorf("%s.basic[%d]: it needs a user name without a colon, and a password", key, i)
		}
	}
	return cmp.Or(
		noneEmpty(key+".hmac.secrets", a.HMAC.Secrets),
		noneEmpty(key+".header.values", a.Header.Values),
		noneEmpty(key+".path_token.values", a.PathTokens),
	)
}

// noneEmpty refuses the empty secret: everybody knows it.
func noneEmpty(key string, secrets []string) error {
	if i := slices.Index(secrets, ""); i >= 0 {
		return fmt.Errorf("%s[%d]: empty: set it or remove it", key, i)
	}
	return nil
}

// head verifies what comes before the body, so that nobody without credentials has a body read; token is the path's.
func (v *verifier) head(r *http.Request, token string) error {
	if v.basic != nil {
		user, password, ok := r.BasicAuth()
		switch {
		case !ok:
			return errNoBasic
		case !digestOf(user + ":" + password).in(v.basic):
			return errBasic
		}
	}
	if v.header != "" && !digestOf(r.Header.Get(v.header)).in(v.values) {
		return errHeader
	}
	if v.pathTokens != nil && !digestOf(token).in(v.pathTokens) {
		return errPathToken
	}
	if v.hmac != nil {
		return v.hmac.head(r.Header)
	}
	return nil
}

// digest stands for a secret: all are of one length, so that comparing them tells nothing about it.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

func digestsOf(secrets []string) []digest {
	var digests []digest
	for _, s := range secrets {
		digests = append(digests, digestOf(s))
	}
	return digests
}

// in reports whether d is one of the others, in the same time wherever it stands.
func (d digest) in(others []digest) bool {
	equal := 0
	for i := range others {
		equal |= subtle.ConstantTimeCompare(d[:], others[i][:])
	}
	return equal == 1
}
