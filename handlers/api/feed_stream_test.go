package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

// waitClosed waits until no answer of the feed is open.
func (s feedServer) waitClosed(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.api.feeds) == 0 }, 10*time.Second, time.Millisecond)
}

func TestTheFeedEndsWhenTheClientLeaves(t *testing.T) {
	s := quietFeed(t, sampleEvents()...)
	r := s.open(t, "?after=now", nil)
	require.Equal(t, `{"cursor":"c10"}`, r.line(t))
	require.Len(t, s.api.feeds, 1)
	r.leave()
	s.waitClosed(t)
}

func TestTheFeedEndsWhenTheProcessDrains(t *testing.T) {
	var draining atomic.Bool
	s := serveFeed(t, Config{Draining: draining.Load}, &memoryLog{}, handlerstest.Quiet())
	s.log.add(sampleEvents()...)
	r := s.open(t, "?after=c9", nil)
	require.Equal(t, asLine(t, 9, sampleEvents()[9]), r.line(t))
	require.Equal(t, `{"cursor":"c10"}`, r.line(t))
	draining.Store(true)
	require.Equal(t, []string{`{"cursor":"c10"}`}, r.rest(t), "the answer is complete")
	s.waitClosed(t)

	refused := s.open(t, "", nil)
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, s.open(t, "?follow=false", nil).StatusCode)
}

func TestAtMostSoManyFeeds(t *testing.T) {
	s := quietFeed(t)
	readers := make([]feedReader, maxFeeds)
	for i := range readers {
		readers[i] = s.open(t, "", nil)
		require.Equal(t, http.StatusOK, readers[i].StatusCode)
	}
	refused := s.open(t, "", nil)
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.Contains(t, strings.Join(refused.rest(t), ""), "64 readers follow the feed already")

	readers[0].leave()
	require.Eventually(t, func() bool { return len(s.api.feeds) < maxFeeds }, 10*time.Second, time.Millisecond)
	require.Equal(t, http.StatusOK, s.open(t, "", nil).StatusCode)
}

// A store that fails in the middle breaks the answer off, so that the client does not take it for complete.
func TestAFailingStoreBreaksTheFeedOff(t *testing.T) {
	var log handlerstest.Log
	s := serveFeed(t, Config{}, &memoryLog{}, log.Logger())
	r := s.open(t, "", nil)
	require.Equal(t, `{"cursor":"c0"}`, r.line(t))
	s.log.fail(errors.New("disk full"))
	_, err := io.ReadAll(r.lines)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	s.waitClosed(t)
	require.Contains(t, log.String(), "disk full")
}
