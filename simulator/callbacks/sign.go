package callbacks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// sign sets the four signature headers of a callback as Sinch does. The signature is the base64 of the HMAC-SHA256 of
// body.nonce.timestamp, with the time in Unix seconds. The HMAC key is the secret as text, without base64 decoding.
func sign(h http.Header, secret string, body []byte, nonce string, at time.Time) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body) // hash.Hash never returns an error
	_, _ = mac.Write([]byte("." + nonce + "." + timestamp))
	h.Set("x-sinch-webhook-signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	h.Set("x-sinch-webhook-signature-algorithm", "HmacSHA256")
	h.Set("x-sinch-webhook-signature-nonce", nonce)
	h.Set("x-sinch-webhook-signature-timestamp", timestamp)
}
