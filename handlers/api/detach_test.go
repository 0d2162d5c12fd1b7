package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// A caller that closes its sending side after the request gets the normal answer.
func TestHalfClosedConnectionsGetTheirAnswer(t *testing.T) {
	s := handlerstest.OpenStore(t)
	recordSample(t, s)
	failing := storetest.NewFailing(s)
	private, err := New(Config{Listen: "127.0.0.1:0", Plans: []string{planEU}}, failing,
		http.NotFoundHandler(), handlerstest.Quiet())
	require.NoError(t, err)

	const asJSON, asLines = "Content-Type: application/json\r\n", "Content-Type: application/x-ndjson\r\n"
	batches := "/api/v1/plans/" + planEU + "/batches"
	for name, c := range map[string]struct {
		op      storetest.Operation
		request string
	}{
		"registration": {
			storetest.Record,
			handlerstest.RawRequest("POST", batches, asJSON, sent("half-1", 0, "")),
		},
		"registrations": {
			storetest.Record,
			handlerstest.RawRequest("POST", batches, asLines, sent("half-2", 0, "")+"\n"+sent("half-3", 0, "")),
		},
		"requeue": {
			storetest.Requeue,
			handlerstest.RawRequest("POST", "/api/v1/feedback/requeue", asJSON, `{"all":true}`),
		},
		"readiness": {storetest.Ready, handlerstest.RawRequest("GET", "/readyz", "", "")},
		"batches":   {storetest.Read, handlerstest.RawRequest("GET", "/api/v1/batches", "", "")},
		"batch":     {storetest.Read, handlerstest.RawRequest("GET", batches+"/"+batchOTP, "", "")},
		"recipients": {
			storetest.Read,
			handlerstest.RawRequest("GET", batches+"/"+batchOTP+"/recipients", "", ""),
		},
		"recipient": {
			storetest.Read,
			handlerstest.RawRequest("GET", batches+"/"+batchOTP+"/recipients/"+alice, "", ""),
		},
		"reports": {
			storetest.Read,
			handlerstest.RawRequest("GET", batches+"/"+batchOTP+"/reports", "", ""),
		},
		"number":     {storetest.Read, handlerstest.RawRequest("GET", "/api/v1/recipients/"+alice, "", "")},
		"feedback":   {storetest.Read, handlerstest.RawRequest("GET", "/api/v1/feedback", "", "")},
		"quarantine": {storetest.Read, handlerstest.RawRequest("GET", "/api/v1/quarantine", "", "")},
		"stats":      {storetest.Read, handlerstest.RawRequest("GET", "/api/v1/stats", "", "")},
		"timeseries": {storetest.Read, handlerstest.RawRequest("GET", "/api/v1/timeseries", "", "")},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := handlerstest.HalfClose(t, private.Handler(), failing, c.op, c.request)
			require.Equal(t, http.StatusOK, status, body)
		})
	}
	for _, id := range []string{"half-1", "half-2", "half-3"} {
		_, err := s.Batch(t.Context(), store.BatchKey{Plan: planEU, BatchID: id})
		require.NoError(t, err, id)
	}
}

// A request without the caller's cancellation still has a time limit.
func TestADetachedRequestHasATimeLimit(t *testing.T) {
	failing := storetest.NewFailing(handlerstest.OpenStore(t))
	failing.Fail(storetest.Read, storetest.Stuck, nil, storetest.Always)
	t.Cleanup(failing.Heal)
	private, err := New(Config{Listen: "127.0.0.1:0", Patience: 1}, failing, http.NotFoundHandler(),
		handlerstest.Quiet())
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	private.Handler().ServeHTTP(answer,
		httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/v1/stats", &bytes.Reader{}))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
}
