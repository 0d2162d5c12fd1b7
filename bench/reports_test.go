package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestEveryRecipientIsReportedTwice(t *testing.T) {
	reports := planned(3, 1)
	require.Len(t, reports, 3*recipients*2)
	seen := make(map[report]bool)
	keys := make(map[[16]byte]bool)
	for _, r := range reports {
		seen[r] = true
		keys[parse1(t, r.body()).ContentKey()] = true
	}
	require.Len(t, seen, len(reports))
	require.Len(t, keys, len(reports), "no report is a repeat of another")
}

func TestTheOrderDependsOnTheSeedAlone(t *testing.T) {
	require.Equal(t, planned(2, 1), planned(2, 1))
	require.NotEqual(t, planned(2, 1), planned(2, 2))
	mixed := make(map[int]bool)
	for _, r := range planned(200, 1)[:2000] {
		mixed[r.batch] = true
	}
	require.Greater(t, len(mixed), 190, "all batches are active at the same time")
}

func TestBodiesAreReportsOfSinch(t *testing.T) {
	first, second := parse1(t, report{7, 42, dispatched}.body()), parse1(t, report{7, 42, delivered}.body())
	for _, r := range []*dlr.Report{first, second} {
		require.Equal(t, dlr.RecipientSMS, r.Type)
		require.Equal(t, batchID(7), r.BatchID)
		require.Equal(t, "otp/0007", r.ClientReference)
		require.Equal(t, []string{number(7*recipients + 42)}, r.Entries[0].Recipients)
	}
	require.Equal(t, dlr.Dispatched, first.Entries[0].Status)
	require.Equal(t, 401, first.Entries[0].Code)
	require.Equal(t, dlr.Delivered, second.Entries[0].Status)
	require.False(t, second.Entries[0].OperatorAt.IsZero())
	require.True(t, second.At().After(first.At()))
}

func TestRequestsBringTheReportsInTheirOrder(t *testing.T) {
	reports := planned(1, 1)[:50]
	q := newRequests(reports)
	require.Equal(t, len(reports), q.len())
	for i, r := range reports {
		rest := bufio.NewReader(bytes.NewReader(q.at(i)))
		request, err := http.ReadRequest(rest)
		require.NoError(t, err)
		body, err := io.ReadAll(request.Body)
		require.NoError(t, err)
		require.Equal(t, "/webhooks/"+planOf(0), request.URL.Path)
		require.Equal(t, string(r.body()), string(body))
		require.Equal(t, r.status, q.status[i])
		require.Zero(t, rest.Buffered(), "one request and nothing else")
	}
}

func parse1(t *testing.T, body []byte) *dlr.Report {
	t.Helper()
	c, err := dlr.Parse(body)
	require.NoError(t, err)
	require.NotNil(t, c.Report)
	return c.Report
}
