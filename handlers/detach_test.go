package handlers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// halfClose sends request to h, blocks its call of op in the store, closes the sending side, and unblocks the call
// once net/http has noticed that. It returns the answer.
func halfClose(t *testing.T, h http.Handler, s *storetest.Failing, op storetest.Operation,
	request string,
) (status int, body string) {
	t.Helper()
	requests := make(chan context.Context, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Context()
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	s.Fail(op, storetest.Stuck, nil, 1)
	defer s.Heal()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(connection, request)
	require.NoError(t, err)
	s.AwaitWaiting(1)
	require.NoError(t, connection.(*net.TCPConn).CloseWrite())
	<-(<-requests).Done()
	s.Release()

	answer, err := io.ReadAll(connection)
	require.NoError(t, err)
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	_, err = fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	require.NoError(t, err, "%q", answer)
	return status, body
}

// rawRequest returns the bytes of a request; header holds complete lines.
func rawRequest(method, path, header, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n%s\r\n%s", method, path, len(body),
		header, body)
}

// A caller that closes its sending side after the request gets the normal answer.
func TestHalfClosedConnectionsGetTheirAnswer(t *testing.T) {
	s := openStore(t)
	recordSample(t, s)
	failing := storetest.NewFailing(s)
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
	public, err := NewPublic(PublicConfig{Plans: []PublicPlan{{ID: planEU, Auth: Auth{None: true}}}}, failing, m,
		quiet())
	require.NoError(t, err)
	private, err := NewPrivate(PrivateConfig{Listen: "127.0.0.1:0", Plans: []string{planEU}}, failing,
		http.NotFoundHandler(), quiet())
	require.NoError(t, err)

	const asJSON, asLines = "Content-Type: application/json\r\n", "Content-Type: application/x-ndjson\r\n"
	callbacks, batches := "/webhooks/"+planEU, "/api/v1/plans/"+planEU+"/batches"
	delivered := recipientBody("half", alice, "Delivered", 0, morning(0))
	for name, c := range map[string]struct {
		h       http.Handler
		op      storetest.Operation
		request string
	}{
		"report": {public.Handler(), storetest.Record, rawRequest("POST", callbacks, "", delivered)},
		"connection: close": {
			public.Handler(), storetest.Record, rawRequest("POST", callbacks, "Connection: close\r\n", delivered),
		},
		"not understood": {public.Handler(), storetest.Record, rawRequest("POST", callbacks, "", "<xml>")},
		"chunked": {public.Handler(), storetest.Record, strings.Replace(
			rawRequest("POST", callbacks, "", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(delivered), delivered)),
			"Content-Length", "Transfer-Encoding: chunked\r\nX-Length", 1)},
		"registration": {
			private.Handler(), storetest.Record,
			rawRequest("POST", batches, asJSON, sent("half-1", 0, "")),
		},
		"registrations": {
			private.Handler(), storetest.Record,
			rawRequest("POST", batches, asLines, sent("half-2", 0, "")+"\n"+sent("half-3", 0, "")),
		},
		"requeue": {
			private.Handler(), storetest.Requeue,
			rawRequest("POST", "/api/v1/feedback/requeue", asJSON, `{"all":true}`),
		},
		"readiness": {private.Handler(), storetest.Ready, rawRequest("GET", "/readyz", "", "")},
		"batches":   {private.Handler(), storetest.Read, rawRequest("GET", "/api/v1/batches", "", "")},
		"batch":     {private.Handler(), storetest.Read, rawRequest("GET", batches+"/"+batchOTP, "", "")},
		"recipients": {
			private.Handler(), storetest.Read,
			rawRequest("GET", batches+"/"+batchOTP+"/recipients", "", ""),
		},
		"recipient": {
			private.Handler(), storetest.Read,
			rawRequest("GET", batches+"/"+batchOTP+"/recipients/"+alice, "", ""),
		},
		"reports": {
			private.Handler(), storetest.Read,
			rawRequest("GET", batches+"/"+batchOTP+"/reports", "", ""),
		},
		"number":     {private.Handler(), storetest.Read, rawRequest("GET", "/api/v1/recipients/"+alice, "", "")},
		"feedback":   {private.Handler(), storetest.Read, rawRequest("GET", "/api/v1/feedback", "", "")},
		"quarantine": {private.Handler(), storetest.Read, rawRequest("GET", "/api/v1/quarantine", "", "")},
		"stats":      {private.Handler(), storetest.Read, rawRequest("GET", "/api/v1/stats", "", "")},
		"timeseries": {private.Handler(), storetest.Read, rawRequest("GET", "/api/v1/timeseries", "", "")},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := halfClose(t, c.h, failing, c.op, c.request)
			require.Equal(t, http.StatusOK, status, body)
		})
	}
	for _, id := range []string{"half", "half-1", "half-2", "half-3"} {
		_, err := s.Batch(t.Context(), store.BatchKey{Plan: planEU, BatchID: id})
		require.NoError(t, err, id)
	}
}

func TestHalfClosedConfirmationsAreRecorded(t *testing.T) {
	h := newGatewayFixture(t, nil)
	h.recordBatch(true, 0)
	h.serveBatch("")
	request := rawRequest("POST", "/xms/v1/"+gatewayPlanA+feedbackTail, "Authorization: "+callerToken+"\r\n",
		oneRecipient)
	for _, op := range []storetest.Operation{storetest.Read, storetest.Record} {
		status, body := halfClose(t, h.gateway.Handler(), h.store, op, request)
		require.Equal(t, http.StatusAccepted, status, body)
	}
	require.Equal(t, store.FeedbackOwed, h.feedbackOf("12017777777"))
}

// A request without the caller's cancellation still has a time limit.
func TestADetachedRequestHasATimeLimit(t *testing.T) {
	failing := storetest.NewFailing(openStore(t))
	failing.Fail(storetest.Read, storetest.Stuck, nil, storetest.Always)
	t.Cleanup(failing.Heal)
	private, err := NewPrivate(PrivateConfig{Listen: "127.0.0.1:0", Patience: 1}, failing, http.NotFoundHandler(),
		quiet())
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	private.Handler().ServeHTTP(answer,
		httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/v1/stats", &bytes.Reader{}))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
}
