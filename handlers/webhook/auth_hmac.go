package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// The headers in which Sinch sends the signature of a callback.
const (
	headerSignature = "X-Sinch-Webhook-Signature"
	headerTimestamp = "X-Sinch-Webhook-Signature-Timestamp"
	headerNonce     = "X-Sinch-Webhook-Signature-Nonce"
	headerAlgorithm = "X-Sinch-Webhook-Signature-Algorithm"
)

// signatureOf returns the values of Sinch's signature headers, without verifying them. It returns nil if the header
// X-Sinch-Webhook-Signature is missing or empty. Any other missing header has the value "".
func signatureOf(h http.Header) *store.Signature {
	s := store.Signature{
		Algorithm: h.Get(headerAlgorithm), Nonce: h.Get(headerNonce), Timestamp: h.Get(headerTimestamp),
		Value: h.Get(headerSignature),
	}
	if s.Value == "" {
		return nil
	}
	return &s
}

// signatures verifies Sinch's signature of a callback. The signature is the base64 of an HMAC-SHA256 over the body, a
// nonce (a random text) and a timestamp, joined by dots. A nonce that was used before is accepted, because Sinch may
// send the same nonce when it repeats a callback.
type signatures struct {
	keys   []*signingKey
	maxAge time.Duration
}

func newSignatures(h HMAC) *signatures {
	s := &signatures{maxAge: h.MaxAge}
	for _, secret := range h.Secrets {
		s.keys = append(s.keys, newSigningKey([]byte(secret)))
	}
	return s
}

// checkHead checks the signature headers of a callback before the body is read. It returns an error if a header is
// missing or malformed, or if the timestamp differs from the local clock by more than HMAC.MaxAge. It does not verify
// the signature.
func (s *signatures) checkHead(h http.Header) error {
	signature, nonce, timestamp := h.Get(headerSignature), h.Get(headerNonce), h.Get(headerTimestamp)
	if signature == "" || nonce == "" || timestamp == "" {
		return errNoSignature
	}
	if algorithm := h.Get(headerAlgorithm); algorithm != "" && !strings.EqualFold(algorithm, "HmacSHA256") {
		return errAlgorithm
	}
	// With dots in the nonce or the timestamp, one signature would be valid for several bodies.
	for i := range len(nonce) {
		if c := nonce[i]; !isDigit(c) && !isLetter(c) && c != '-' && c != '_' {
			return errNonce
		}
	}
	for i := range len(timestamp) {
		if !isDigit(timestamp[i]) {
			return errTimestamp
		}
	}
	if len(signature) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return errSignature
	}
	return s.checkAge(timestamp)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// verifies reports whether the signature in the headers h covers the body, with any one of the configured secrets. It
// checks neither the format of the headers nor the age of the signature, so call checkHead before.
func (s *signatures) verifies(h http.Header, body []byte) bool {
	for _, key := range s.keys {
		m := key.begin()
		m.Write(body)
		verified := m.verifies(h)
		key.macs.Put(m)
		if verified {
			return true
		}
	}
	return false
}

// verifiesStream reads r to its end and reports whether the signature in the headers h covers the bytes read. n is the
// number of bytes read. If r returns an error, verified is false and err is that error. buf is scratch space. Call
// checkHead before, because verifiesStream checks neither the format of the headers nor the age of the signature.
func (s *signatures) verifiesStream(h http.Header, r io.Reader, buf []byte) (verified bool, n int64, err error) {
	macs := make([]io.Writer, len(s.keys))
	for i, key := range s.keys {
		m := key.begin()
		defer key.macs.Put(m)
		macs[i] = m
	}
	if n, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(macs...)}, r, buf); err != nil {
		return false, n, err
	}
	for _, m := range macs {
		verified = verified || m.(*mac).verifies(h)
	}
	return verified, n, nil
}

func (s *signatures) checkAge(timestamp string) error {
	if s.maxAge == 0 {
		return nil
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > s.maxAge {
		return errSignatureTime
	}
	return nil
}

// signingKey holds a pool of HMACs that all use the same key: one configured secret.
type signingKey struct{ macs sync.Pool }

// mac is an HMAC with a scratch buffer. A mac is reused for many callbacks, by one goroutine at a time.
type mac struct {
	hash.Hash
	buf []byte
}

func newSigningKey(secret []byte) *signingKey {
	k := &signingKey{}
	k.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }
	return k
}

// begin takes an HMAC from the pool and resets it. Write the body to it, and put it back with k.macs.Put after use.
func (k *signingKey) begin() *mac {
	m := k.macs.Get().(*mac)
	m.Reset()
	return m
}

// verifies reports whether the signature in the headers h is correct for the body, which must have been written to m
// before. It also writes the nonce and the timestamp to m, so call it only once.
func (m *mac) verifies(h http.Header) bool {
	b := append(m.buf[:0], '.')
	b = append(b, h.Get(headerNonce)...)
	b = append(b, '.')
	b = append(b, h.Get(headerTimestamp)...)
	m.Write(b)

	b = m.Sum(b[:0])
	b = base64.StdEncoding.AppendEncode(b, b)
	end := len(b)
	b = append(b, h.Get(headerSignature)...)
	m.buf = b
	return subtle.ConstantTimeCompare(b[sha256.Size:end], b[end:]) == 1
}
