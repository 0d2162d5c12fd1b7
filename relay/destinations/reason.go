package destinations

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"

	"github.com/dlrloop/dlrloop/store"
)

// reasonOfStatus classifies an answer by its HTTP status. The reason decides whether and when the event is sent again.
func reasonOfStatus(status int) store.DeliveryReason {
	switch {
	case status >= 200 && status <= 299:
		return store.DeliveryAccepted
	case status == http.StatusTooManyRequests:
		return store.DeliveryRateLimited
	case status == http.StatusGone:
		return store.DeliveryGone
	case status == http.StatusRequestTimeout:
		return store.DeliveryTimeout
	case status >= 500:
		return store.DeliveryServer
	case status >= 400:
		return store.DeliveryRejected
	case status >= 300:
		return store.DeliveryRedirected
	}
	return store.DeliveryNetwork // 101, which nobody asked for
}

// reasonOfError classifies an error that net/http returned instead of an answer. It returns store.DeliveryCanceled,
// DeliveryTLS, DeliveryTimeout or DeliveryNetwork.
func reasonOfError(err error) store.DeliveryReason {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return store.DeliveryCanceled
	case isTLS(err):
		return store.DeliveryTLS
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return store.DeliveryTimeout
	}
	return store.DeliveryNetwork
}

// isTLS reports whether err means that TLS failed: one side did not accept the certificate of the other, or the server
// does not speak TLS.
func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

// outage reports whether a failure with this reason comes from the destination as a whole, such as a timeout or a 5xx,
// and not from a single event.
func outage(r store.DeliveryReason) bool {
	switch r {
	case store.DeliveryServer, store.DeliveryTimeout, store.DeliveryNetwork, store.DeliveryTLS, store.DeliveryRedirected:
		return true
	}
	return false
}
