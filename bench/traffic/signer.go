package traffic

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
)

// Signer builds signed HTTP requests for callbacks, as bytes. It does not send them. It signs with the constant Secret
// in the way that Sinch does. It is not safe for concurrent use.
type Signer struct{ mac hash.Hash }

// NewSigner returns a Signer, which can sign any number of requests with the constant Secret.
func NewSigner() *Signer { return &Signer{hmac.New(sha256.New, []byte(Secret))} }

// Append appends a complete, signed HTTP request to buf and returns the extended slice. The request posts the body to
// the webhook of the service plan. Pass a different number n for each callback, since it is part of the nonce.
func (s *Signer) Append(buf []byte, plan string, n int, body []byte) []byte {
	nonce := fmt.Sprintf("01K2S9AHX7ZC3M5V8E%08d", n)
	timestamp := fmt.Sprint(began.Unix())
	s.mac.Reset()
	fmt.Fprintf(s.mac, "%s.%s.%s", body, nonce, timestamp)
	return fmt.Appendf(buf, "POST /webhooks/%s HTTP/1.1\r\nHost: dlr.example.com\r\nUser-Agent: bench\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n"+
		"x-sinch-webhook-signature: %s\r\nx-sinch-webhook-signature-algorithm: HmacSHA256\r\n"+
		"x-sinch-webhook-signature-nonce: %s\r\nx-sinch-webhook-signature-timestamp: %s\r\n\r\n%s",
		plan, len(body), base64.StdEncoding.EncodeToString(s.mac.Sum(nil)), nonce, timestamp, body)
}
