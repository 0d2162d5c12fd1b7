package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// reads returns the paths that read from the store.
func reads() []string {
	batch := "/api/v1/plans/acme-eu/batches/" + batchOTP
	return []string{
		"/api/v1/batches", batch, batch + "/recipients", batch + "/recipients/" + alice, batch + "/reports",
		"/api/v1/recipients/" + alice,
		"/api/v1/feedback", "/api/v1/quarantine", "/api/v1/stats", "/api/v1/timeseries",
	}
}

func TestReadsOfAStoreThatFails(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordSample(t, st)
	failing := storetest.NewFailing(st)
	var log handlerstest.Log
	s := serve(t, Config{Patience: 20 * time.Millisecond}, failing, log.Logger())
	for name, c := range map[string]struct {
		kind   storetest.Kind
		err    error
		status int
		slug   string
	}{
		"failing": {
			storetest.NotApplied, errors.New("input/output error on disk 7"), http.StatusServiceUnavailable,
			"unavailable",
		},
		"busy":     {storetest.NotApplied, store.ErrBusy, http.StatusServiceUnavailable, "busy"},
		"closed":   {storetest.NotApplied, store.ErrClosed, http.StatusServiceUnavailable, "busy"},
		"stuck":    {storetest.Stuck, nil, http.StatusServiceUnavailable, "busy"},
		"panicked": {storetest.Panics, nil, http.StatusInternalServerError, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, address := range reads() {
				failing.Fail(storetest.Read, c.kind, c.err, storetest.Always)
				a := s.call(t, http.MethodGet, address, "", http.Header{"X-Request-Id": {"find-me-" + name}})
				require.Equal(t, c.status, a.StatusCode, address)
				p := a.Problem(t)
				require.Equal(t, "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"+c.slug, p.Type)
				require.Equal(t, "find-me-"+name, p.RequestID)
				require.NotContains(t, string(a.Content), "disk 7")
				require.NotContains(t, string(a.Content), "injected")
				require.Equal(t, c.status == http.StatusServiceUnavailable, a.Header.Get("Retry-After") != "")
				failing.Heal()
				require.Equal(t, http.StatusOK, s.get(t, "/healthz").StatusCode)
			}
			require.Contains(t, log.String(), "find-me-"+name)
		})
	}
	require.Contains(t, log.String(), "disk 7")
	for _, number := range []string{alice, bob} {
		require.NotContains(t, log.String(), number)
	}
}

// Some requests read from the store twice. The second read may fail as well.
func TestTheSecondReadOfARequestFails(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordSample(t, st)
	failing := storetest.NewFailing(st)
	s := serve(t, Config{}, failing, handlerstest.Quiet())
	batch := "/api/v1/plans/acme-eu/batches/" + batchOTP
	for address, gone := range map[string]int{ // the status if retention deletes the batch between both reads
		batch + "/recipients":          http.StatusNotFound,
		batch + "/recipients/" + alice: http.StatusNotFound,
		"/api/v1/recipients/" + alice:  http.StatusOK,
	} {
		for err, status := range map[error]int{store.ErrNotFound: gone, store.ErrBusy: http.StatusServiceUnavailable} {
			failing.Fail(storetest.Read, storetest.Works, nil, 1)
			failing.Fail(storetest.Read, storetest.NotApplied, err, 1)
			require.Equal(t, status, s.get(t, address).StatusCode, "%s: %v", address, err)
			failing.Heal()
		}
		require.Equal(t, http.StatusOK, s.get(t, address).StatusCode, address)
	}
	// Timeseries are read one day at a time.
	failing.Fail(storetest.Read, storetest.Works, nil, 1)
	failing.Fail(storetest.Read, storetest.NotApplied, store.ErrBusy, 1)
	a := s.get(t, "/api/v1/timeseries?step=1h&from=2026-03-01T00:00:00Z&to=2026-03-03T00:00:00Z")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	failing.Heal()

	for err, status := range map[error]int{
		store.ErrNotFound: http.StatusNotFound, store.ErrBusy: http.StatusServiceUnavailable,
	} {
		failing.Fail(storetest.Requeue, storetest.NotApplied, err, 1)
		require.Equal(t, status, s.requeue(t, `{"plan": "acme-eu", "batch_id": "`+batchDead+`"}`).StatusCode)
	}
	failing.Fail(storetest.Read, storetest.NotApplied, store.ErrBusy, 1)
	require.Equal(t, http.StatusServiceUnavailable, s.requeue(t, `{"all": true}`).StatusCode)
	for _, request := range []string{`{"plan": "acme-eu", "batch_id": "` + batchDead + `"}`, `{"all": true}`} {
		failing.Fail(storetest.Requeue, storetest.NotApplied, errors.New("input/output error"), 1)
		a := s.requeue(t, request)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		require.Contains(t, a.Problem(t).Type, "#unavailable")
		failing.Heal()
	}
}

// An answer that cannot be encoded is a fault of dlrloop, not of the store.
func TestOnlyStoreErrorsAreUnavailable(t *testing.T) {
	encoding := fmt.Errorf("encode the answer: %w", errors.New("unsupported value"))
	require.Equal(t, problem.KindInternal, problem.Of(encoding).Kind)
	require.Equal(t, problem.KindUnavailable, problem.Of(failed("list", errors.New("no connection"))).Kind)
	require.Equal(t, problem.KindBusy, problem.Of(failed("list", context.DeadlineExceeded)).Kind)
	require.Equal(t, problem.KindNotFound, problem.Of(failed("list", store.ErrNotFound)).Kind)
}

// The log never contains a whole phone number, whatever the request is.
func TestLogsContainNoNumbers(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordSample(t, st)
	var log handlerstest.Log
	s := serve(t, Config{}, st, log.Logger())
	for _, address := range []string{
		"/api/v1/recipients/" + alice + "?limit=" + alice,
		"/api/v1/recipients/" + alice + "?cursor=" + alice,
		"/api/v1/plans/acme-eu/batches/" + batchOTP + "/recipients/+" + alice + "0",
		"/api/v1/recipients/" + alice + "/more",
		"/api/v1/timeseries?from=" + alice + alice,
		"/api/v1/timeseries?step=" + alice,
		"/api/v1/feedback?state=" + alice,
	} {
		require.GreaterOrEqual(t, s.get(t, address).StatusCode, 400, address)
	}
	require.Equal(t, 7, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), alice)
}

func TestReadiness(t *testing.T) {
	st := handlerstest.OpenStore(t)
	failing := storetest.NewFailing(st)
	draining := false
	s := serve(t, Config{Draining: func() bool { return draining }, Patience: 20 * time.Millisecond},
		failing, handlerstest.Quiet())
	ready := func() int {
		require.Equal(t, http.StatusOK, s.get(t, "/healthz").StatusCode)
		return s.get(t, "/readyz").StatusCode
	}
	require.Equal(t, http.StatusOK, ready())

	failing.Fail(storetest.Ready, storetest.NotApplied, store.ErrClosed, 1)
	require.Equal(t, http.StatusServiceUnavailable, ready())
	failing.Fail(storetest.Ready, storetest.Stuck, nil, 1)
	require.Equal(t, http.StatusServiceUnavailable, ready())
	require.Equal(t, http.StatusOK, ready())

	draining = true
	require.Equal(t, http.StatusServiceUnavailable, ready())
	require.Contains(t, s.get(t, "/readyz").Problem(t).Detail, "draining")
	require.Equal(t, http.StatusOK, s.get(t, "/api/v1/stats").StatusCode, "the API answers while draining")
	draining = false

	require.NoError(t, st.Close())
	require.Equal(t, http.StatusServiceUnavailable, ready())
}
