package webhook_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// arrivals is a Recorder that keeps what it gets.
type arrivals struct{ got []store.Arrival }

func (a *arrivals) Record(_ context.Context, arrival store.Arrival) error {
	a.got = append(a.got, arrival)
	return nil
}

func TestSignaturesAreKept(t *testing.T) {
	body := string(report("447700900118").body)
	signed := sign("secret", []byte(body), time.Now())
	for name, test := range map[string]struct {
		plan   webhook.Plan
		header http.Header
		body   string
		kept   bool
	}{
		"signed":      {webhook.Plan{Auth: bySecrets("secret"), KeepSignature: true}, signed, body, true},
		"not kept":    {webhook.Plan{Auth: bySecrets("secret")}, signed, body, false},
		"not signed":  {webhook.Plan{Auth: webhook.Auth{None: true}, KeepSignature: true}, http.Header{}, body, false},
		"unverified":  {webhook.Plan{Auth: webhook.Auth{None: true}, KeepSignature: true}, signed, body, true},
		"quarantined": {webhook.Plan{Auth: webhook.Auth{None: true}, KeepSignature: true}, signed, "{}", true},
	} {
		t.Run(name, func(t *testing.T) {
			test.plan.ID = plan
			stored := &arrivals{}
			m := metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{plan}})
			w, err := webhook.New(webhook.Config{Plans: []webhook.Plan{test.plan}}, stored, m, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodPost, "/webhooks/"+plan, strings.NewReader(test.body))
			r.Header = test.header
			answer := httptest.NewRecorder()
			w.Handler().ServeHTTP(answer, r)
			require.Equal(t, http.StatusOK, answer.Code)
			require.Len(t, stored.got, 1)
			var want *store.Signature
			if test.kept {
				want = &store.Signature{
					Algorithm: "HmacSHA256", Nonce: signed.Get(nonce), Timestamp: signed.Get(timestamp),
					Value: signed.Get(signature),
				}
			}
			require.Equal(t, want, stored.got[0].Signature)
		})
	}
}
