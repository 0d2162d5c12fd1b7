package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

type timeseriesReply struct {
	From, To    time.Time
	StepSeconds int `json:"step_seconds"`
	Times       []time.Time
	Series      []struct {
		Plan, Status string
		Messages     []int
	}
}

// shown returns one line per series.
func (r timeseriesReply) shown() []string {
	lines := make([]string, 0, len(r.Series))
	for _, s := range r.Series {
		lines = append(lines, fmt.Sprint(s.Plan, " ", s.Status, " ", s.Messages))
	}
	return lines
}

// recordDays records reports over four days, some at the edges of steps.
func recordDays(t *testing.T, s Recorder) {
	t.Helper()
	midnight := morning(-10 * time.Hour)
	for i, at := range []time.Duration{
		0, time.Minute - time.Millisecond, time.Minute, 59 * time.Minute, 60 * time.Minute, // Delivered
		24*time.Hour - time.Millisecond, 24 * time.Hour, 49 * time.Hour, 95*time.Hour + 59*time.Minute, 96 * time.Hour,
	} {
		id := fmt.Sprintf("b%d", i)
		record(t, s, planEU, midnight.Add(at), called(t, recipientBody(id, alice, "Delivered", 0, midnight)))
	}
	record(t, s, planEU, midnight.Add(30*time.Minute), called(t, recipientBody("c", alice, "Teleported", 1, midnight)))
	record(t, s, planUS, midnight.Add(72*time.Hour), called(t, `{"type":"delivery_report_sms","batch_id":"d",`+
		`"total_message_count":12,"statuses":[{"code":1,"status":"Failed","count":12}]}`))
}

func TestTimeseries(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordDays(t, st)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	for query, want := range map[string]struct {
		from, to string
		points   int
		series   []string
	}{
		"from=2026-03-02T00:00:00Z&to=2026-03-02T00:03:00Z": {
			"2026-03-02T00:00:00Z", "2026-03-02T00:03:00Z", 3, []string{"acme-eu Delivered [2 1 0]"},
		},
		"from=2026-03-02T00:00:59.999Z&to=2026-03-02T00:01:00.001Z": {
			"2026-03-02T00:00:00Z", "2026-03-02T00:02:00Z", 2, []string{"acme-eu Delivered [2 1]"},
		},
		"from=2026-03-02T00:20:00Z&to=2026-03-02T01:10:00Z&step=1800": {
			"2026-03-02T00:00:00Z", "2026-03-02T01:30:00Z", 3,
			[]string{"acme-eu Delivered [3 1 1]", "acme-eu other [0 1 0]"},
		},
		"from=2026-03-02T00:00:00Z&to=2026-03-07T00:00:00Z&step=24h": {
			"2026-03-02T00:00:00Z", "2026-03-07T00:00:00Z", 5,
			[]string{"acme-eu Delivered [6 1 1 1 1]", "acme-eu other [1 0 0 0 0]", "acme-us Failed [0 0 0 12 0]"},
		},
		"from=2026-03-02T00:00:00Z&to=2026-03-06T00:00:00Z&step=36h&plan=acme-us": {
			"2026-03-01T12:00:00Z", "2026-03-06T00:00:00Z", 3, []string{"acme-us Failed [0 0 12]"},
		},
		"from=2025-03-06T00:00:00Z&to=2026-03-07T00:00:00Z&step=8784h": {
			"2024-03-10T00:00:00Z", "2026-03-12T00:00:00Z", 2,
			[]string{"acme-eu Delivered [0 10]", "acme-eu other [0 1]", "acme-us Failed [0 12]"},
		},
		"from=2026-03-02T00:00:00Z&to=2026-03-08T22:40:00Z&plan=nobody": {
			"2026-03-02T00:00:00Z", "2026-03-08T22:40:00Z", 10_000, []string{},
		},
	} {
		t.Run(query, func(t *testing.T) {
			r := read[timeseriesReply](t, s.get(t, "/api/v1/timeseries?"+query))
			require.Equal(t, want.from, r.From.Format(time.RFC3339))
			require.Equal(t, want.to, r.To.Format(time.RFC3339))
			require.Equal(t, want.series, r.shown())
			require.Len(t, r.Times, want.points)
			require.Equal(t, r.From, r.Times[0])
			require.Equal(t, r.To, r.Times[want.points-1].Add(time.Duration(r.StepSeconds)*time.Second))
		})
	}
	a := s.get(t, "/api/v1/timeseries?from=2026-03-02T00:00:00Z&to=2026-03-08T22:41:00Z")
	require.Equal(t, http.StatusBadRequest, a.StatusCode, "it has 10 001 points")
}

func TestTimeseriesDefaultsToTheLastHour(t *testing.T) {
	st := handlerstest.OpenStore(t)
	begun := store.Now()
	record(t, st, planEU, begun, called(t, recipientBody("b", alice, "Delivered", 0, begun)))
	record(t, st, planEU, begun.Add(-2*time.Hour), called(t, recipientBody("c", alice, "Failed", 0, begun)))
	s := serve(t, Config{}, st, handlerstest.Quiet())

	r := read[timeseriesReply](t, s.get(t, "/api/v1/timeseries"))
	require.InDelta(t, 60, len(r.Times), 1)
	require.False(t, r.To.Before(begun))
	require.False(t, r.To.After(store.Now().Add(time.Minute)))
	require.Len(t, r.Series, 1, "the current minute is included")
	require.Equal(t, "Delivered", r.Series[0].Status)

	r = read[timeseriesReply](t, s.get(t, "/api/v1/timeseries?to=2026-03-02T10:00:00Z&step=15m"))
	require.Equal(t, "2026-03-02T09:00:00Z", r.From.Format(time.RFC3339))
	require.Len(t, r.Times, 4)
	from := begun.Add(-3 * time.Hour).Unix()
	r = read[timeseriesReply](t, s.get(t, fmt.Sprintf("/api/v1/timeseries?from=%d&step=1h", from)))
	require.Len(t, r.Series, 2)
	from = begun.Add(48 * time.Hour).Unix()
	r = read[timeseriesReply](t, s.get(t, fmt.Sprintf("/api/v1/timeseries?from=%d", from)))
	require.Empty(t, r.Series)
	require.InDelta(t, 60, len(r.Times), 1)
}
