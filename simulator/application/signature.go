package application

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far the time in the header webhook-timestamp may differ from the clock. A request with a larger
// difference is answered 401.
const tolerance = 5 * time.Minute

// The headers of a request with events, as the specification Standard Webhooks names them: the id of the delivery, the
// time in Unix seconds, and one or more signatures.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

// The headers with which Sinch signs a callback: the signature in base64, the name of the algorithm, a random text
// (nonce), and the time in Unix seconds.
const (
	sinchSignature = "x-sinch-webhook-signature"
	sinchAlgorithm = "x-sinch-webhook-signature-algorithm"
	sinchNonce     = "x-sinch-webhook-signature-nonce"
	sinchTimestamp = "x-sinch-webhook-signature-timestamp"
)

// verifyEvents checks the signature of a request with events, as the specification Standard Webhooks requires. If the
// header lists several signatures, one must be right. The error says what is wrong. Without Config.Secret, there is no
// check and the result is nil.
func (a *Application) verifyEvents(h http.Header, body []byte, now time.Time) error {
	if a.key == nil {
		return nil
	}
	id, timestamp, signatures := h.Get(headerID), h.Get(headerTimestamp), h.Get(headerSignature)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a Unix time in seconds", headerTimestamp)
	}
	if difference := now.Sub(time.Unix(seconds, 0)); difference.Abs() > tolerance {
		return fmt.Errorf("%s differs from the clock by %s", headerTimestamp, difference.Abs().Round(time.Second))
	}
	for _, s := range strings.Fields(signatures) {
		if encoded, ok := strings.CutPrefix(s, "v1,"); ok && matches(encoded, a.key, id, ".", timestamp, ".", string(body)) {
			return nil
		}
	}
	return fmt.Errorf("no v1 signature in %s is right", headerSignature)
}

// verifySinch checks Sinch's signature of a callback with Config.CallbackSecret. The error says what is wrong. If
// CallbackSecret is empty, verifySinch checks nothing: it returns nil, or an error if Config.Secret is set, because
// then only events of dlrloop are expected.
func (a *Application) verifySinch(h http.Header, body []byte) error {
	secret := a.config.CallbackSecret
	switch {
	case secret == "" && a.key != nil:
		return fmt.Errorf("%s is missing", headerID)
	case secret == "":
		return nil
	case h.Get(sinchSignature) == "":
		return fmt.Errorf("both %s and %s are missing", headerID, sinchSignature)
	case !strings.EqualFold(h.Get(sinchAlgorithm), "HmacSHA256"):
		return fmt.Errorf("%s is not HmacSHA256", sinchAlgorithm)
	case !matches(h.Get(sinchSignature), []byte(secret), string(body), ".", h.Get(sinchNonce), ".", h.Get(sinchTimestamp)):
		return errors.New("the signature of Sinch is wrong")
	}
	return nil
}

// matches reports whether encoded is the base64 of the HMAC-SHA256, with this key, of the concatenated parts.
func matches(encoded string, key []byte, parts ...string) bool {
	given, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		_, _ = mac.Write([]byte(part)) // hash.Hash never returns an error
	}
	return hmac.Equal(given, mac.Sum(nil))
}
