package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

func TestRequestsKeepTheOrderOfReports(t *testing.T) {
	reports := traffic.Planned(0, 1, 1)[:50]
	q := newRequests(reports)
	require.Equal(t, len(reports), q.len())
	for i, r := range reports {
		rest := bufio.NewReader(bytes.NewReader(q.at(i)))
		request, err := http.ReadRequest(rest)
		require.NoError(t, err)
		body, err := io.ReadAll(request.Body)
		require.NoError(t, err)
		require.Equal(t, "/webhooks/"+planOf(0), request.URL.Path)
		require.Equal(t, string(r.Body()), string(body))
		require.Equal(t, r.Status, q.status[i])
		require.Zero(t, rest.Buffered(), "at must return exactly one request")
	}
}
