package webhook_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// nothing is a store that discards every arrival at once.
type nothing struct{}

func (nothing) Record(context.Context, store.Arrival) error { return nil }

// blank is a ResponseWriter that discards everything.
type blank struct{ header http.Header }

func (b blank) Header() http.Header         { return b.header }
func (b blank) Write(p []byte) (int, error) { return len(p), nil }
func (b blank) WriteHeader(int)             {}

func (b blank) SetReadDeadline(time.Time) error { return nil }

// again is a request body that can be reset.
type again struct{ bytes.Reader }

func (*again) Close() error { return nil }

func benchmark(b *testing.B, h http.Handler, header map[string]string, body []byte) {
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/webhooks/p", nil)
	require.NoError(b, err)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	reader := &again{}
	w := blank{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		request.Body, request.ContentLength = reader, int64(len(body))
		h.ServeHTTP(w, request)
	}
}

// newBenchmarked returns a public listener over nothing.
func newBenchmarked(b *testing.B, auth webhook.Auth) http.Handler {
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{"p"}})
	p, err := webhook.New(webhook.Config{Plans: []webhook.Plan{{ID: "p", Auth: auth}}},
		nothing{}, m, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	return p.Handler()
}

func BenchmarkIngest(b *testing.B) {
	signed := readSigned(b)
	for name, auth := range map[string]webhook.Auth{
		"none": {None: true}, "hmac": {HMAC: webhook.HMAC{Secrets: []string{signed.Secret}}},
	} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, newBenchmarked(b, auth), signed.Headers, []byte(signed.Body))
		})
	}
}

// BenchmarkBare measures a handler that only reads and parses, for comparison.
func BenchmarkBare(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.POST("/webhooks/:plan", func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		if err == nil {
			_, err = dlr.Parse(body)
		}
		if err != nil {
			c.Status(http.StatusServiceUnavailable)
			return
		}
		c.Status(http.StatusOK)
	})
	signed := readSigned(b)
	benchmark(b, e, signed.Headers, []byte(signed.Body))
}
