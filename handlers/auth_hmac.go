package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The headers of Sinch's signature, in canonical form.
const (
	headerSignature = "X-Sinch-Webhook-Signature"
	headerTimestamp = "X-Sinch-Webhook-Signature-Timestamp"
	headerNonce     = "X-Sinch-Webhook-Signature-Nonce"
	headerAlgorithm = "X-Sinch-Webhook-Signature-Algorithm"
)

// signatures verifies Sinch's signature: base64 of HMAC-SHA256, keyed with the secret's text, over the body's bytes, a dot,
// the nonce, a dot and the timestamp. The nonce has only letters, digits, - and _, the timestamp only digits: with a dot in
// one of them, bytes of the body could move into it under the same signature. A repeated nonce is accepted: Sinch may repeat
// the callback, and the store recognises repeats by their content.
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

// head refuses what no body could make right.
func (s *signatures) head(h http.Header) error {
	if h.Get(headerSignature) == "" || h.Get(headerNonce) == "" || h.Get(headerTimestamp) == "" {
		return errNoSignature
	}
	if algorithm := h.Get(headerAlgorithm); algorithm != "" && !strings.EqualFold(algorithm, "HmacSHA256") {
		return errAlgorithm
	}
	if strings.ContainsFunc(h.Get(headerNonce), func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }) {
		return errNonce
	}
	if strings.ContainsFunc(h.Get(headerTimestamp), func(r rune) bool { return r < '0' || '9' < r }) {
		return errTimestamp
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}

// body verifies the signature of a request whose head was not refused.
func (s *signatures) body(h http.Header, plain, packed []byte) error {
	signature, nonce, timestamp := h.Get(headerSignature), h.Get(headerNonce), h.Get(headerTimestamp)
	if !s.signed(signature, plain, nonce, timestamp) &&
		(packed == nil || !s.signed(signature, packed, nonce, timestamp)) {
		return errSignature
	}
	return s.checkAge(timestamp)
}

func (s *signatures) signed(signature string, body []byte, nonce, timestamp string) bool {
	for _, key := range s.keys {
		if key.signed(signature, body, nonce, timestamp) {
			return true
		}
	}
	return false
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

// signingKey is one secret.
type signingKey struct{ macs sync.Pool }

// mac is an HMAC to be used again, with room to work in.
type mac struct {
	hash.Hash
	buf []byte
}

func newSigningKey(secret []byte) *signingKey {
	k := &signingKey{}
	k.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }
	return k
}

func (k *signingKey) signed(signature string, body []byte, nonce, timestamp string) bool {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.Reset()
	m.Write(body)
	b := append(m.buf[:0], '.')
	b = append(b, nonce...)
	b = append(b, '.')
	b = append(b, timestamp...)
	m.Write(b)

	b = m.Sum(b[:0])
	b = base64.StdEncoding.AppendEncode(b, b)
	end := len(b)
	b = append(b, signature...)
	m.buf = b
	return subtle.ConstantTimeCompare(b[sha256.Size:end], b[end:]) == 1
}
