package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReplicasUnauthenticatedCalls sends callbacks with a wrong secret through the balancer. Every replica answers
// them with 503. The balancer must not take a replica for failed because of that, also while another replica is down.
func TestReplicasUnauthenticatedCalls(t *testing.T) {
	t.Parallel()
	sinch, origin := newSinch(t, 1)
	c := newCluster(t, sinch, origin, postgres.Database(t), "", "coalesce: 50ms")
	c.start()
	for range 2 {
		for i := range 6 {
			assert.GreaterOrEqual(t, c.callBack(reportOf(i), "a wrong secret"), 502)
		}
		for i := range 12 {
			assert.Equal(t, http.StatusOK, c.callBack(reportOf(i), secret))
			assert.NoError(t,
				sendBatch(t.Context(), "http://"+c.balancer.gateways, []string{"447700900133"}, "per_recipient", false))
		}
		c.replicas[0].kill()
	}
}

// reportOf returns the body of a recipient report; n selects the number.
func reportOf(n int) string {
	return fmt.Sprintf(`{"type": "recipient_delivery_report_sms", "batch_id": "01KA9GG90C9V1ANC4C0D6QJT6K",`+
		` "recipient": "4477009%05d", `+
		`"code": 0, "status": "Delivered", "at": "2026-11-17T10:25:06.432Z"}`, n)
}

// callBack sends a callback signed with secret to the balancer, as Sinch does, and returns the status of the answer.
func (c *cluster) callBack(body, secret string) int {
	c.t.Helper()
	now := strconv.FormatInt(time.Now().Unix(), 10)
	signature := hmac.New(sha256.New, []byte(secret))
	_, _ = signature.Write([]byte(body + ".a-nonce." + now)) // hash.Hash never returns an error
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost,
		"http://"+c.balancer.webhooks+"/webhooks/"+plan, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("X-Sinch-Webhook-Signature", base64.StdEncoding.EncodeToString(signature.Sum(nil)))
	r.Header.Set("X-Sinch-Webhook-Signature-Algorithm", "HmacSHA256")
	r.Header.Set("X-Sinch-Webhook-Signature-Nonce", "a-nonce")
	r.Header.Set("X-Sinch-Webhook-Signature-Timestamp", now)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(c.t, err)
	require.NoError(c.t, answer.Body.Close())
	return answer.StatusCode
}
