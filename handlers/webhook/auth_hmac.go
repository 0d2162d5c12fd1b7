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
)

// The headers in which Sinch sends the signature of a callback, in canonical form.
const (
	headerSignature = "X-Sinch-Webhook-Signature"
	headerTimestamp = "X-Sinch-Webhook-Signature-Timestamp"
	headerNonce     = "X-Sinch-Webhook-Signature-Nonce"
	headerAlgorithm = "X-Sinch-Webhook-Signature-Algorithm"
)

// signatures verifies Sinch's signature: the base64 of an HMAC-SHA256 over the body, a dot, the nonce, a dot and the
// timestamp. The nonce may contain only letters, digits, - and _, the timestamp only digits. With dots in them, one
// signature would be valid for several bodies. The same nonce may come again, since Sinch may repeat a callback; the
// store recognizes repeats by their content.
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

// head returns an error if the signature headers in h cannot be valid for any body: missing, malformed or out of date.
func (s *signatures) head(h http.Header) error {
	signature, nonce, timestamp := h.Get(headerSignature), h.Get(headerNonce), h.Get(headerTimestamp)
	if signature == "" || nonce == "" || timestamp == "" {
		return errNoSignature
	}
	if algorithm := h.Get(headerAlgorithm); algorithm != "" && !strings.EqualFold(algorithm, "HmacSHA256") {
		return errAlgorithm
	}
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

// verifies reports whether the signature in the headers h covers body under any of the configured secrets.
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

// verifiesStream reads r to its end, and reports whether the signature in the headers h covers the n bytes that were
// read. It overwrites buf, which it needs for copying. The error comes from r.
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

// signingKey is a pool of HMACs that are keyed with one configured secret.
type signingKey struct{ macs sync.Pool }

// mac is a reusable HMAC with a scratch buffer.
type mac struct {
	hash.Hash
	buf []byte
}

func newSigningKey(secret []byte) *signingKey {
	k := &signingKey{}
	k.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }
	return k
}

// begin returns an empty HMAC from the pool. After use the caller puts it back with k.macs.Put.
func (k *signingKey) begin() *mac {
	m := k.macs.Get().(*mac)
	m.Reset()
	return m
}

// verifies adds the nonce and the timestamp in the headers h to the HMAC of a body. It reports whether the result
// equals the signature in h.
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
