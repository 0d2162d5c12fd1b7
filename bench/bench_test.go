package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/bench/traffic"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// TestMain lets the test binary run as a subject in a child process, as the program does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// newRun returns a small run that ends when all its reports are sent.
func newRun(t *testing.T) *run {
	t.Helper()
	u, err := traffic.NewUpstream(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, u.Close()) })
	return &run{
		rounds: 1, measured: time.Hour, connections: []int{8},
		subjects: []subject{
			subjectNull, subjectAppend, subjectDlrloop, subjectFeedback, subjectFeed, subjectDestination,
		},
		dir: t.TempDir(), profiles: t.TempDir(), upstream: u, reports: newRequests(traffic.Planned(0, 1, 1)),
	}
}

func TestEverySubjectAcceptsEveryReport(t *testing.T) {
	r := newRun(t)
	all, err := r.measureAll(t.Context(), func(line string) { t.Log(line) })
	require.NoError(t, err)
	for _, s := range r.subjects {
		require.Len(t, all[8][s], 1)
		f := all[8][s][0]
		require.Positive(t, f.throughput)
		require.Positive(t, f.cpu)
		require.LessOrEqual(t, f.p50, f.p99)
	}
	left, err := os.ReadDir(r.dir)
	require.NoError(t, err)
	require.Empty(t, left, "the run must remove everything that it wrote")
	profiles, err := os.ReadDir(r.profiles)
	require.NoError(t, err)
	require.Len(t, profiles, 2*len(r.subjects))
}

func TestSubjectsOnPostgreSQL(t *testing.T) {
	r := newRun(t)
	r.subjects = []subject{subjectPostgres, subjectPostgresFeed, subjectPostgresDestination, subjectStored}
	r.dir = sharedDir(t)
	end, err := r.startCluster(t.Context(), 3*traffic.Recipients, func(line string) { t.Log(line) })
	if errors.Is(err, pgtest.ErrNotFound) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, end()) })
	for range 2 { // the second round must not count rows of the first
		all, err := r.measureAll(t.Context(), func(line string) { t.Log(line) })
		require.NoError(t, err)
		for _, s := range r.subjects {
			f := all[8][s][0]
			require.Equal(t, r.reports.len(), f.reports)
			require.Positive(t, f.database.cpu)
			require.Greater(t, f.database.wal, int64(100*f.reports))
			require.Positive(t, f.database.table)
			require.Positive(t, f.database.connections)
		}
	}
}

// sharedDir returns a temporary directory that PostgreSQL's account can access. Directories of t.TempDir are private.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bench-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestSubjectThatDoesNotStart(t *testing.T) {
	r := newRun(t)
	_, err := r.measureOnce(t.Context(), "sqlite", 1)
	require.ErrorContains(t, err, "start subject sqlite")
}

func TestAnswerOtherThanEmpty200EndsTheRun(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"503":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"body": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := drive(t.Context(), startServer(t, answer), newRequests(traffic.Planned(0, 1, 1)),
				load{connections: 4, measured: time.Hour})
			require.ErrorContains(t, err, "answered")
		})
	}
}

func TestDriveEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent := startServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	_, err := drive(ctx, silent, newRequests(traffic.Planned(0, 1, 1)), load{connections: 4, measured: time.Hour})
	require.Error(t, err)
}

func TestVerifyFindsLostReports(t *testing.T) {
	stats := `{"plans":[{"plan":"bench000","duplicates":0,"quarantined":0,"messages":[
		{"status":"Delivered","class":"none","messages":3},
		{"status":"Dispatched","class":"queue","messages":2}],"feedback":{"owed":1,"sent":2,"dead":0}}]}`
	k := statsServer(t, stats)
	require.NoError(t,
		verify(t.Context(), k, planOf(0), [traffic.NumStatuses]int{traffic.Dispatched: 2, traffic.Delivered: 3}))
	require.EqualError(t,
		verify(t.Context(), k, planOf(0), [traffic.NumStatuses]int{traffic.Dispatched: 2, traffic.Delivered: 4}),
		"4 reports of status Delivered were acknowledged, 3 are stored")
	require.ErrorContains(t, verifyFeedback(t.Context(), k, planOf(0), 4), "4 recipients earned feedback")
	k = statsServer(t, strings.Replace(stats, `"duplicates":0`, `"duplicates":1`, 1))
	require.ErrorContains(t,
		verify(t.Context(), k, planOf(0),
			[traffic.NumStatuses]int{traffic.Dispatched: 2, traffic.Delivered: 3}), "1 reports were counted as duplicates")
	require.Error(t, verify(t.Context(), statsServer(t, `{"plans":[]}`), planOf(0), [traffic.NumStatuses]int{}))
}

// startServer serves h until the test ends and returns the address.
func startServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// statsServer serves an API that answers stats and returns its address.
func statsServer(t *testing.T, stats string) string {
	t.Helper()
	return startServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(stats)) })
}
