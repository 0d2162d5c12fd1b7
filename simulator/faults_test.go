package simulator

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

func TestFaultKinds(t *testing.T) {
	// The customer waits for ten seconds.
	for name, c := range map[string]struct {
		fault   fault.Fault
		status  int // 0: the call fails
		took    time.Duration
		applied bool
		ledger  int // status in the ledger
	}{
		"no matching fault": {fault.Fault{Operation: fault.OpBatch, Kind: fault.Reset}, 202, 0, true, 202},
		"latency": {
			fault.Fault{Kind: fault.Latency, Latency: 3 * time.Second},
			202, 3 * time.Second, true,
			202,
		},
		"latency beyond the customer's timeout": {
			fault.Fault{Kind: fault.Latency, Latency: time.Minute},
			0, 10 * time.Second,
			false, 0,
		},
		"status": {fault.Fault{Kind: fault.Status, Status: 503}, 503, 0, false, 503},
		"status after a latency": {
			fault.Fault{Kind: fault.Status, Status: 503, Latency: time.Second},
			503, time.Second, false,
			503,
		},
		"hang":                   {fault.Fault{Kind: fault.Hang}, 0, 10 * time.Second, false, 0},
		"hang with a latency":    {fault.Fault{Kind: fault.Hang, Latency: 2 * time.Second}, 0, 2 * time.Second, false, 0},
		"reset":                  {fault.Fault{Kind: fault.Reset}, 0, 0, false, 0},
		"applied_but_500":        {fault.Fault{Kind: fault.AppliedBut500}, 500, 0, true, 500},
		"applied_but_500 as 502": {fault.Fault{Kind: fault.AppliedBut500, Status: 502}, 502, 0, true, 502},
		"applied_but_hang":       {fault.Fault{Kind: fault.AppliedButHang}, 0, 10 * time.Second, true, 0},
		"applied_but_reset":      {fault.Fault{Kind: fault.AppliedButReset}, 0, 0, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true})
				id := u.send(map[string]any{"to": numbers(1), "feedback_enabled": true})
				c.fault.Times = 1
				require.NoError(t, u.sim.SetFault(c.fault))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				h, err := u.try(ctx, http.MethodPost, "/batches/"+id+"/delivery_feedback",
					`{"recipients":["12025550000"]}`)
				require.Equal(t, c.took, time.Since(start))
				require.Equal(t, c.status, h.status)
				require.Equal(t, c.status == 0, err != nil)
				synctest.Wait()

				l := u.sim.Ledger()
				require.Len(t, l.Feedback, 1)
				call := l.Feedback[0]
				require.Equal(t, c.applied, call.Applied)
				require.Equal(t, c.ledger, call.Status)
				require.Equal(t, []string{"12025550000"}, call.Recipients,
					"the ledger must also contain calls without effect")
				require.Equal(t, c.applied, l.Batches[0].Recipients[0].Feedback == 1)
				if c.fault.Operation == "" {
					require.Equal(t, c.fault.Kind, call.Fault)
					require.Equal(t, http.StatusAccepted, u.feedback(id, "12025550000").status,
						"the fault must hit only once")
				}
			})
		})
	}
}

func TestAppliedSendCreatesABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		require.NoError(t, u.sim.SetFault(fault.Fault{Operation: fault.OpSend, Kind: fault.Status, Status: 500, Times: 1}))
		require.NoError(t, u.sim.SetFault(fault.Fault{Operation: fault.OpSend, Kind: fault.AppliedBut500, Times: 1}))
		require.Equal(t, 500,
			u.call(http.MethodPost, "/batches", `{"to":["12025550143"],"from":"ACME","body":"x"}`).status)
		require.Empty(t, u.sim.Ledger().Batches)
		require.Equal(t, 500,
			u.call(http.MethodPost, "/batches", `{"to":["12025550143"],"from":"ACME","body":"x"}`).status)
		require.Len(t, u.sim.Ledger().Batches, 1)
	})
}

func TestFaultsHitMatchingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		a := u.send(map[string]any{"to": numbers(1), "feedback_enabled": true})
		b := u.send(map[string]any{"to": numbers(1), "feedback_enabled": true})
		require.NoError(t,
			u.sim.SetFault(fault.Fault{
				Plan: testPlan, Operation: fault.OpFeedback, BatchID: a, Kind: fault.Status, Status: 429,
				RetryAfter: "7", Times: 2,
			}))
		require.NoError(t,
			u.sim.SetFault(fault.Fault{
				Operation: fault.OpReport, Kind: fault.Status, Status: 502, Body: "<h1>Bad gateway</h1>",
			}))

		require.Equal(t, 202, u.feedback(b).status)
		for range 2 {
			h := u.feedback(a)
			require.Equal(t, 429, h.status)
			require.Equal(t, "7", h.header.Get("Retry-After"))
		}
		require.Equal(t, 202, u.feedback(a).status)
		require.Equal(t, 200, u.call(http.MethodGet, "/batches/"+a, "").status)
		for _, path := range []string{
			"/batches/" + a + "/delivery_report",
			"/batches/" + a + "/delivery_report/12025550000", "/delivery_reports",
		} {
			h := u.call(http.MethodGet, path, "")
			require.Equal(t, 502, h.status)
			require.Equal(t, "<h1>Bad gateway</h1>", h.body)
		}
		u.sim.ClearFaults()
		require.Equal(t, 200, u.call(http.MethodGet, "/delivery_reports", "").status)
	})
}

func TestClearFaultsEndsHangingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		require.NoError(t, u.sim.SetFault(fault.Fault{Kind: fault.Hang, Times: 1}))
		go func() {
			time.Sleep(time.Hour)
			u.sim.ClearFaults()
		}()
		start := time.Now()
		_, err := u.try(t.Context(), http.MethodPost, "/batches", `{}`)
		require.Error(t, err)
		require.Equal(t, time.Hour, time.Since(start))
	})
}

func TestFaultsAreChecked(t *testing.T) {
	s, err := New(Config{Plans: []Plan{{ID: "p", Token: "t"}}})
	require.NoError(t, err)
	for text, f := range map[string]fault.Fault{
		`unknown kind ""; use one of latency, status`: {},
		`unknown kind "smoke"`:                        {Kind: "smoke"},
		`unknown operation "smoke"; use one of send`:  {Kind: fault.Reset, Operation: "smoke"},
		`requires a status`:                           {Kind: fault.Status},
		`status 99 must be between`:                   {Kind: fault.Status, Status: 99},
		`kind reset does not take a status`:           {Kind: fault.Reset, Status: 500},
		`requires a latency`:                          {Kind: fault.Latency},
		`must not be negative`:                        {Kind: fault.Reset, Times: -1},
		`plan "q" does not exist`:                     {Kind: fault.Reset, Plan: "q"},
	} {
		require.ErrorContains(t, s.SetFault(f), text)
	}
	require.Empty(t, s.faults.Active())
}

func TestResetIsATCPReset(t *testing.T) {
	s, err := New(Config{Calm: true, Plans: []Plan{{ID: "p", Token: "t"}}})
	require.NoError(t, err)
	server := httptest.NewServer(s.API())
	t.Cleanup(server.Close)
	require.NoError(t, s.SetFault(fault.Fault{Kind: fault.Reset}))

	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("GET /xms/v1/p/delivery_reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
