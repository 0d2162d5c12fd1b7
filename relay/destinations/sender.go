package destinations

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// These HTTP headers carry the signature of a request: those of Standard Webhooks for FormatEvents, and those with
// which Sinch signed the callback for FormatSinch.
const (
	headerID        = standardwebhooks.HeaderWebhookID
	headerTimestamp = standardwebhooks.HeaderWebhookTimestamp
	headerSignature = standardwebhooks.HeaderWebhookSignature

	headerSinchSignature = "X-Sinch-Webhook-Signature"
	headerSinchTimestamp = "X-Sinch-Webhook-Signature-Timestamp"
	headerSinchNonce     = "X-Sinch-Webhook-Signature-Nonce"
	headerSinchAlgorithm = "X-Sinch-Webhook-Signature-Algorithm"
)

// maxAnswer limits the headers and the body of an answer, in bytes. Longer headers fail the request; a longer body is
// cut off, which is not an error.
const maxAnswer = 64 << 10

// sender makes the HTTP requests to one destination: it encodes and signs events and classifies the answers. It does
// not retry. It is safe for concurrent use.
type sender struct {
	destination Destination
	userAgent   string
	client      http.Client
	signers     []*standardwebhooks.Webhook
	hidden      []string // what no text of an error may contain; see secretsOf
}

// newSender returns a sender for the destination d, which must be valid according to Destination.Check. It reads the CA
// file; a client certificate is read for each new connection.
func newSender(d Destination, userAgent string) (*sender, error) {
	s := &sender{destination: d, userAgent: userAgent, hidden: secretsOf(d)}
	for _, secret := range d.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errors.New("secrets: not base64") // the library's error may contain a part of the secret
		}
		s.signers = append(s.signers, signer)
	}
	transport, err := newTransport(d)
	if err != nil {
		return nil, err
	}
	s.client = http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// newTransport returns a new HTTP transport for the destination d alone, so that destinations do not wait for each
// other's connections. It returns an error if the CA file cannot be read.
func newTransport(d Destination) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.CAFile != "" {
		pool, err := readCAs(d.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		config.RootCAs = pool
	}
	if d.CertFile != "" {
		// Reading the files for each connection takes a renewed certificate into use.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(d.CertFile, d.KeyFile)
			return &pair, err
		}
	}
	dial := d.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    d.Workers,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxAnswer,
		DisableCompression:     true, // an answer's body is only an excerpt in the log
	}, nil
}

// answer is the classified result of one HTTP request. If no HTTP answer came, for example because of a timeout, the
// field reason says why.
type answer struct {
	reason     store.DeliveryReason
	detail     string        // for people, without whole phone numbers or secrets; empty if accepted
	retryAfter time.Duration // from the Retry-After header of 429 or 503; 0 if absent
	took       time.Duration
}

// errEncoding means that no request can be built for an event, so that retrying is useless: it cannot be encoded in the
// format of the destination.
var errEncoding = errors.New("the event cannot be encoded")

// send posts events in one HTTP request and waits for the answer, at most for Destination.Timeout. Failures of the
// request are in the answer. It returns an error, which wraps errEncoding, only if it could not build the request.
func (s *sender) send(ctx context.Context, events []*store.Event) (answer, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.destination.Timeout)
	defer cancel()
	r, err := s.request(ctx, events, began)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errEncoding, err)
	}
	response, err := s.client.Do(r)
	if err != nil {
		a := answer{reason: reasonOfError(err), took: time.Since(began)}
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, which may contain a secret
		}
		a.detail = sinch.Clean(err.Error(), maxDetail, s.hidden)
		return a, nil
	}
	defer response.Body.Close()
	var body []byte
	if response.StatusCode != http.StatusSwitchingProtocols { // that has no body, and no timeout would end the read
		body, _ = io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // the status counts, even if the body breaks off
	}
	a := answer{reason: reasonOfStatus(response.StatusCode), took: time.Since(began)}
	if a.reason != store.DeliveryAccepted {
		a.detail = s.excerpt(response, body)
		if s := response.StatusCode; s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable {
			a.retryAfter = sinch.RetryAfter(response.Header, time.Now())
		}
	}
	return a, nil
}

// request builds the HTTP request with its body and signature. FormatSinch sends only the first event. now is the time
// that is signed. An error means that the events cannot be sent in this format.
func (s *sender) request(ctx context.Context, events []*store.Event, now time.Time) (*http.Request, error) {
	header := make(http.Header)
	body := events[0].Raw
	if s.destination.Format == FormatSinch {
		if len(body) == 0 { // deferred before the format was changed
			return nil, errors.New("no callback is stored with it; only the format events can send it")
		}
		signedBySinch(header, events[0].Signature)
	} else {
		var err error
		if body, err = s.encode(events); err != nil {
			return nil, err
		}
		if err := s.sign(header, events, body, now); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.destination.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL is not valid")
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", s.userAgent)
	if s.destination.Token != "" {
		header.Set("Authorization", "Bearer "+s.destination.Token)
	}
	// Not sent. It lets net/http repeat the request on a new connection if the server closed the idle one meanwhile.
	header["Idempotency-Key"] = nil
	r.Header = header
	return r, nil
}

// encode returns the body of a request of FormatEvents: one JSON object or, if MaxEvents is above 1, an array, even for
// one event.
func (s *sender) encode(list []*store.Event) ([]byte, error) {
	if s.destination.MaxEvents <= 1 {
		return events.Marshal(list[0])
	}
	body := []byte{'['}
	for i, e := range list {
		object, err := events.Marshal(e)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, object...)
	}
	return append(body, ']'), nil
}

// sign sets the headers of Standard Webhooks: an id, the time given by now, and one signature of the body for each
// secret. The id is the id of the first event. If MaxEvents is above 1, a dot and the number of events follow the id.
func (s *sender) sign(header http.Header, events []*store.Event, body []byte, now time.Time) error {
	id := events[0].ID()
	if s.destination.MaxEvents > 1 {
		id += "." + strconv.Itoa(len(events))
	}
	signatures := make([]string, len(s.signers))
	for i, signer := range s.signers {
		var err error
		if signatures[i], err = signer.Sign(id, now, body); err != nil {
			return err
		}
	}
	header.Set(headerID, id)
	header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(headerSignature, strings.Join(signatures, " "))
	return nil
}

// signedBySinch sets the headers with which Sinch signed the callback. It sets none if s is nil, because Sinch did not
// sign the callback.
func signedBySinch(header http.Header, s *store.Signature) {
	if s == nil {
		return
	}
	for name, value := range map[string]string{
		headerSinchSignature: s.Value, headerSinchTimestamp: s.Timestamp, headerSinchNonce: s.Nonce,
		headerSinchAlgorithm: s.Algorithm,
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
}
