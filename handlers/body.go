package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	unknown    = -1       // length of a body that announces none
	firstStep  = 4 << 10  // first room for a body, at most: memory follows what arrives, not what is announced
	mediumBody = 64 << 10 // larger ones have their own share of the memory, and wait for their own turns
	slowest    = 16 << 10 // bytes a second; a body that moves slower uses up the time-out
)

// bodies reads the bodies of callbacks. All in flight share one budget of memory.
type bodies struct {
	limit      int64 // bytes of one body, also after decompression
	budget     budget
	decoded    budget // of what is read from bodies, until it is recorded
	unverified *unverified
	patience   time.Duration // how long a body waits for room
	timeout    time.Duration // for a body to arrive, or to stand still; one that moves gets more
	shed       int           // status of the answer when there is no room
}

// bodyReader is the reading of one body. What was read may be used after release: the budget bounds what is in flight, the
// store bounds what it holds.
type bodyReader struct {
	*bodies
	connection *http.ResponseController
	begun      time.Time
	client     client          // of one that arrives unverified
	place      int             // among the unverified, from 1; 0 is none. They own it
	arrived    atomic.Int64    // bytes
	held       [2]atomic.Int64 // of either share
	dropped    atomic.Bool
}

// drop makes read return, from any goroutine.
func (in *bodyReader) drop() {
	in.dropped.Store(true)
	_ = in.connection.SetReadDeadline(time.Unix(1, 0))
}

// speed is in bytes a second. Each body begins with a second's worth of the slowest that is fast enough.
func (in *bodyReader) speed(now time.Time) float64 {
	return float64(in.arrived.Load()+slowest) / (now.Sub(in.begun) + time.Second).Seconds()
}

// read reads a request's body whole.
func (in *bodyReader) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > in.limit {
		return nil, tooLarge(in.limit)
	}
	deadline := in.begun.Add(in.timeout)
	// A connection that knows no deadlines is one of a test.
	_ = in.connection.SetReadDeadline(deadline)
	body, err := in.fill(r.Context(), r.Body, r.ContentLength, func(n int) error {
		in.arrived.Add(int64(n))
		// What came fast earns no right to stand still: never more than the time-out is left.
		deadline = earlier(deadline.Add(time.Duration(n)*time.Second/slowest), time.Now().Add(in.timeout))
		_ = in.connection.SetReadDeadline(deadline)
		if in.dropped.Load() { // before the deadline was moved
			return errDropped
		}
		return nil
	})
	if time.Since(in.begun) > time.Second {
		// A server's time to write counts from the head of the request; the few bytes of an answer need none.
		_ = in.connection.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return body, nil
	}
	if in.dropped.Load() {
		return nil, in.noRoom(errDropped)
	}
	if _, own := errors.AsType[*problem](err); !own {
		err = &problem{kind: kindIncomplete, detail: "the body did not arrive whole", cause: err}
	}
	return nil, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// isGzip goes by the body, not by Content-Encoding, which proxies change: no JSON begins as gzip does.
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b}) }

// unpack decompresses a body. A body that is not gzip, or broken gzip, is returned as it came: it will not be understood, and
// kept for that.
func (in *bodyReader) unpack(ctx context.Context, sent []byte) ([]byte, error) {
	if !isGzip(sent) {
		return sent, nil
	}
	z := unzipper(bytes.NewReader(sent))
	if z == nil {
		return sent, nil
	}
	defer z.putBack()
	plain, err := in.fill(ctx, z, unknown, func(int) error { return nil })
	if err == nil {
		return plain, nil
	}
	if _, own := errors.AsType[*problem](err); own {
		return nil, err
	}
	return sent, nil
}

// fill reads length bytes of r, or all where the length is unknown. moved is told how many came at a time while there may be
// more; its error ends the reading.
func (in *bodyReader) fill(ctx context.Context, r io.Reader, length int64, moved func(n int) error) ([]byte, error) {
	most := length
	if length == unknown {
		most = in.limit + 1 // the last byte tells that it is too large
	}
	buf, err := in.resize(ctx, nil, min(firstStep, most))
	if err != nil {
		return nil, err
	}
	for {
		if len(buf) == cap(buf) {
			switch read := int64(len(buf)); {
			case read == length:
				return buf, nil
			case read > in.limit:
				return nil, tooLarge(in.limit)
			}
			if buf, err = in.resize(ctx, buf, min(2*int64(cap(buf)), most)); err != nil {
				return nil, err
			}
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) == length: // whatever err says
		case err == io.EOF:
			return in.fit(ctx, buf)
		case err != nil:
			return nil, err
		}
		if err := moved(n); err != nil {
			return nil, err
		}
	}
}

// fit makes a body of unknown length as small as it turned out to be: the store keeps it for a while.
func (in *bodyReader) fit(ctx context.Context, buf []byte) ([]byte, error) {
	if int64(len(buf)) > in.limit {
		return nil, tooLarge(in.limit)
	}
	if cap(buf)-len(buf) <= len(buf)/4 {
		return buf, nil
	}
	return in.resize(ctx, buf, int64(len(buf)))
}

// resize returns a copy of buf that has room for size bytes.
func (in *bodyReader) resize(ctx context.Context, buf []byte, size int64) ([]byte, error) {
	if err := in.acquire(ctx, size); err != nil {
		return nil, err
	}
	resized := append(make([]byte, 0, size), buf...)
	in.releaseBuffer(int64(cap(buf)))
	return resized, nil
}

func tooLarge(limit int64) error {
	return &problem{
		kind: kindTooLarge, detail: fmt.Sprintf("the limit is %d bytes", limit),
		cause: errors.New("if Sinch sent it, it is lost: raise public.max_body"),
	}
}
