package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestQueryTimes(t *testing.T) {
	noon := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
	for raw, want := range map[string]time.Time{
		"":                            {},
		"2026-03-02T12:00:00Z":        noon,
		"2026-03-02T13:00:00%2B01:00": noon,
		"2026-03-02T13:00:00+01:00":   noon, // the + is not encoded
		"2026-03-02T12:00:00.1239Z":   noon.Add(123 * time.Millisecond),
		"1772452800":                  noon,
		"0":                           time.Unix(0, 0).UTC(),
		"9999-12-31T23:59:59Z":        time.Unix(latest, 0).UTC(),
		"253402300799":                time.Unix(latest, 0).UTC(),
	} {
		q := parseQuery("at=" + raw)
		require.Equal(t, want, q.time("at"), raw)
		require.NoError(t, q.err(), raw)
	}
	for _, raw := range []string{
		"yesterday", "2026-03-02", "2026-03-02T12:00", "-1", "253402300800", "1772452800.5",
		"9999-12-31T23:59:59-01:00",
		"99999999999999999999", "0000-01-01T00:00:00Z", "12:00:00Z",
	} {
		q := parseQuery("at=" + raw)
		require.Zero(t, q.time("at"), raw)
		require.EqualError(t, q.err(),
			"at: not a time; allowed: RFC 3339 (2026-01-31T15:04:05Z), Unix seconds (1769871845)", raw)
	}
}

func TestQuerySteps(t *testing.T) {
	for raw, want := range map[string]time.Duration{
		"": 7 * time.Minute, "1m": time.Minute, "60": time.Minute, "15m": 15 * time.Minute, "24h": 24 * time.Hour,
		"86400": 24 * time.Hour,
		"8784h": maxRange, "1h30m": 90 * time.Minute, "120s": 2 * time.Minute,
	} {
		q := parseQuery("step=" + raw)
		require.Equal(t, want, q.wholeMinutes("step", 7*time.Minute), raw)
		require.NoError(t, q.err(), raw)
	}
	for _, raw := range []string{
		"0", "59", "61", "-60", "30s", "90s", "1.5m", "8785h", "31622460", "m", "1 m", "5d", "9999999999",
	} {
		q := parseQuery("step=" + raw)
		q.wholeMinutes("step", time.Minute)
		require.ErrorContains(t, q.err(), "step: not a number of whole minutes", raw)
	}
}

func TestQueryPaging(t *testing.T) {
	q := parseQuery("cursor=abc&limit=1000")
	require.Equal(t, store.Paging{Cursor: "abc", Limit: store.MaxLimit}, q.paging())
	require.NoError(t, q.err())
	q = parseQuery("cursor=&limit=")
	require.Equal(t, store.Paging{}, q.paging())
	require.NoError(t, q.err())
	for _, raw := range []string{"0", "-1", "1001", "ten", "1e2", "0x10", "99999999999999999999"} {
		q := parseQuery("limit=" + raw)
		q.paging()
		require.EqualError(t, q.err(), "limit: not a valid number of entries; allowed: 1 to 1000", raw)
	}
}

func TestQueryStatus(t *testing.T) {
	for raw, want := range map[string]dlr.Status{
		"": "", "Delivered": dlr.Delivered, "DELIVERED": dlr.Delivered, "canceled": dlr.Cancelled,
		"Teleported": "Teleported",
	} {
		require.Equal(t, want, parseQuery("status="+raw).status("status"), raw)
	}
}

func TestInvalidQueriesAreRefused(t *testing.T) {
	s := serveSample(t)
	for address, want := range map[string]struct{ parameter, detail string }{
		"/api/v1/batches?stauts=Failed": {
			"stauts",
			"stauts: unknown query parameter; allowed: plan, status, client_reference, from, to, cursor, limit",
		},
		"/api/v1/batches?plan=a&plan=b": {
			"plan",
			"plan: given more than once; allowed: one value",
		},
		"/api/v1/batches?plan=%zz": {
			"query",
			"query: not correctly percent-encoded; allowed: name=value pairs, separated by &",
		},
		"/api/v1/batches?plan=a;status=b": {
			"query",
			"query: not correctly percent-encoded; allowed: name=value pairs, separated by &",
		},
		"/api/v1/batches?from=2026-03-02T10:00:00Z&to=2026-03-02T10:00:00Z": {
			"to",
			"to: not after from; allowed: a time after from",
		},
		"/api/v1/batches?limit=5000": {
			"limit",
			"limit: not a valid number of entries; allowed: 1 to 1000",
		},
		"/api/v1/batches?cursor=%25%25": {
			"cursor",
			"cursor: not from this list; allowed: the next_cursor of its previous page",
		},
		"/api/v1/feedback?state=buried": {
			"state",
			"state: not an allowed value; allowed: pending, dead",
		},
		"/api/v1/stats?plan=acme-eu": {
			"plan",
			"plan: unknown query parameter; allowed: none",
		},
		"/api/v1/timeseries?step=30s": {
			"step",
			"step: not a number of whole minutes; allowed: a duration (1m, 15m, 24h), seconds (60, 900, 86400)",
		},
		"/api/v1/timeseries?from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:00Z": {
			"step",
			"step: too short for the range; allowed: a step that gives at most 10000 points",
		},
		"/api/v1/timeseries?from=2025-01-01T00:00:00Z&to=2026-01-03T00:00:00Z&step=24h": {
			"from", "from: too far before to; allowed: at most 366 days",
		},
		"/api/v1/timeseries?from=0&to=253402300799&step=24h": {
			"from",
			"from: too far before to; allowed: at most 366 days",
		},
		"/api/v1/timeseries?from=200&to=100": {
			"to",
			"to: not after from; allowed: a time after from",
		},
		"/api/v1/quarantine?" + strings.Repeat("x23456789", 5) + "=": {
			strings.Repeat("x23456789", 5)[:40],
			strings.Repeat("x23456789", 5)[:40] + ": unknown query parameter; allowed: cursor, limit",
		},
	} {
		t.Run(address, func(t *testing.T) {
			a := s.get(t, address)
			require.Equal(t, http.StatusBadRequest, a.StatusCode)
			p := a.Problem(t)
			require.Equal(t, want.parameter, p.Parameter)
			require.Equal(t, want.detail, p.Detail)
		})
	}
}
