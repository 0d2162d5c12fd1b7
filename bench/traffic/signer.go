package traffic

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
)

// Signer makes signed callbacks. It is not safe for concurrent use.
type Signer struct{ mac hash.Hash }

// NewSigner returns a Signer that signs with Secret.
func NewSigner() *Signer { return &Signer{hmac.New(sha256.New, []byte(Secret))} }

// Append appends the HTTP request of callback n to the slice to and returns it. The request sends body to the webhook
// of a plan.
func (s *Signer) Append(to []byte, plan string, n int, body []byte) []byte {
	nonce := fmt.Sprintf("01K2S9AHX7ZC3M5V8E%08d", n)
	timestamp := fmt.Sprint(began.Unix())
	s.mac.Reset()
	fmt.Fprintf(s.mac, "%s.%s.%s", body, nonce, timestamp)
	return fmt.Appendf(to, "POST /webhooks/%s HTTP/1.1\r\nHost: dlr.example.com\r\nUser-Agent: bench\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n"+
		"x-sinch-webhook-signature: %s\r\nx-sinch-webhook-signature-algorithm: HmacSHA256\r\n"+
		"x-sinch-webhook-signature-nonce: %s\r\nx-sinch-webhook-signature-timestamp: %s\r\n\r\n%s",
		plan, len(body), base64.StdEncoding.EncodeToString(s.mac.Sum(nil)), nonce, timestamp, body)
}
