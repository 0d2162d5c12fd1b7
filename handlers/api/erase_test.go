package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestEraseANumber(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordSample(t, st)
	var log handlerstest.Log
	s := serve(t, Config{}, st, log.Logger())
	const address = "/api/v1/recipients/+" + alice
	batches := s.pages(t, address, "batch_id", 10)
	require.NotEmpty(t, batches)
	a := s.call(t, http.MethodDelete, address, "", nil)
	require.Equal(t, http.StatusOK, a.StatusCode)
	var erased erasedView
	require.NoError(t, json.Unmarshal(a.Content, &erased))
	require.Equal(t, len(batches), erased.Recipients)
	require.Empty(t, s.pages(t, address, "batch_id", 10))
	for _, id := range batches {
		for _, rest := range []string{"", "/recipients", "/reports"} {
			a := s.get(t, "/api/v1/plans/acme-eu/batches/"+id+rest)
			require.NotContains(t, string(a.Content), alice)
		}
	}
	require.Contains(t, log.String(), "a phone number was erased")
	require.NotContains(t, log.String(), alice)
}

func TestEraseWhatIsNotANumber(t *testing.T) {
	s := serve(t, Config{}, handlerstest.OpenStore(t), handlerstest.Quiet())
	for _, number := range []string{"12345", "Acme", "1234567890123456", "%00"} {
		a := s.call(t, http.MethodDelete, "/api/v1/recipients/"+number, "", nil)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, number)
		p := a.Problem(t)
		require.Equal(t, "number", p.Parameter)
		require.Contains(t, p.Detail, "7 to 15 digits")
	}
	a := s.call(t, http.MethodDelete, "/api/v1/recipients/"+alice+"?dry=1", "", nil)
	require.Equal(t, http.StatusBadRequest, a.StatusCode, "an unknown parameter")
}

func TestEraseFails(t *testing.T) {
	failing := storetest.NewFailing(handlerstest.OpenStore(t))
	var log handlerstest.Log
	s := serve(t, Config{}, failing, log.Logger())
	for _, err := range []error{errors.New("disk 7"), store.ErrBusy, store.ErrClosed, context.DeadlineExceeded} {
		failing.Fail(storetest.Erase, storetest.NotApplied, err, 1)
		a := s.call(t, http.MethodDelete, "/api/v1/recipients/"+alice, "", nil)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode, err)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
		require.NotContains(t, string(a.Content), "disk 7")
	}
	require.NotContains(t, log.String(), alice)
}

// TestEraseContinuesWithoutItsClient ends the connection while the store is erasing.
func TestEraseContinuesWithoutItsClient(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordSample(t, st)
	failing := storetest.NewFailing(st)
	s := serve(t, Config{}, failing, handlerstest.Quiet())
	failing.Fail(storetest.Erase, storetest.Stuck, nil, 1)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.URL+"/api/v1/recipients/"+alice, nil)
		if err == nil {
			var a *http.Response
			if a, err = http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, a.Body)
				err = a.Body.Close()
			}
		}
		left <- err
	}()
	failing.AwaitWaiting(1)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	failing.Release()
	require.Eventually(t, func() bool {
		return len(s.pages(t, "/api/v1/recipients/"+alice, "batch_id", 10)) == 0
	}, time.Minute, 10*time.Millisecond)
}
