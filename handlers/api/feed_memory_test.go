package api

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// sized returns an event of about this many bytes.
func sized(bytes int) store.Event {
	e := sampleEvents()[6]
	e.Detail = strings.Repeat("x", bytes)
	return e
}

// The memory limits do not change what a client receives.
func TestTheFeedSendsLargeEvents(t *testing.T) {
	var all []store.Event
	for n := range 3 * feedPage {
		all = append(all, sized(20<<10))
		if n%40 == 7 {
			all = append(all, sized(2*feedKept), sized(1), sized(2*feedKept))
		}
	}
	s := serveFeed(t, Config{FeedMemory: 1 << 20}, &memoryLog{}, handlerstest.Quiet())
	s.log.add(all...)
	r := s.open(t, "?follow=false", nil)
	for n, e := range all {
		require.Equal(t, asLine(t, n, e), r.line(t), "event %d", n)
	}
	require.Equal(t, `{"cursor":"`+cursorAt(len(all))+`"}`, r.line(t))
	s.waitClosed(t)
	require.True(t, s.api.memory.large.TryAcquire(s.api.memory.budget), "all shares are returned")
	require.Empty(t, s.api.memory.reads)
}

// An event that the filter leaves out takes no memory.
func TestTheFeedLeavesOutLargeEvents(t *testing.T) {
	s := serveFeed(t, Config{}, &memoryLog{}, handlerstest.Quiet())
	require.True(t, s.api.memory.large.TryAcquire(s.api.memory.budget))
	s.log.add(sized(2*feedKept), sized(2*feedKept), sampleEvents()[4])
	r := s.open(t, "?type=batch.completed&follow=false", nil)
	require.Equal(t, asLine(t, 2, sampleEvents()[4]), r.line(t))
}

// A client that accepts no data holds a large event until it is disconnected. Meanwhile the others get smaller events,
// and are told to connect again before a large one.
func TestAStalledClientHoldsOneLargeEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		l.add(sized(1), sized(2*feedKept))
		p, err := New(Config{Listen: "127.0.0.1:0", Events: l, FeedMemory: 1}, nil, http.NotFoundHandler(),
			handlerstest.Quiet())
		require.NoError(t, err)
		server := &http.Server{Handler: p.Handler()}
		listener, done := make(singleListener, 1), make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		connect := func() *bufio.Reader {
			near, far := net.Pipe()
			listener <- far
			t.Cleanup(func() { _ = near.Close() })
			_, err := io.WriteString(near, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
			require.NoError(t, err)
			answer, err := http.ReadResponse(bufio.NewReader(near), nil)
			require.NoError(t, err)
			return bufio.NewReader(answer.Body)
		}
		stalled := connect()
		_, err = stalled.ReadString('\n')
		require.NoError(t, err)
		_, err = stalled.Peek(1) // the large event begins
		require.NoError(t, err)

		other := connect()
		line, err := other.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, cursorAt(1))
		_, err = other.ReadString('\n')
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)

		time.Sleep(time.Minute) // the stalled client is disconnected
		again := connect()
		for n := range 2 {
			line, err := again.ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, cursorAt(n+1))
		}
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
		time.Sleep(time.Minute) // the feed notices that the clients have left
	})
}
