package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

const (
	unknown = -1 // length of a body without a Content-Length
	// firstStep is the size of the first buffer, at most, in bytes: memory follows the bytes that arrive, not the
	// announced length.
	firstStep  = 4 << 10
	mediumBody = 64 << 10 // bytes; larger bodies have their own part of the memory budget and their own queue
	slowest    = 16 << 10 // bytes per second; a slower body uses up its time-out
)

// bodies holds what all callbacks share for reading their bodies: the maximum size of one body, the time within which
// it must arrive, and the limits on the memory of all bodies together.
type bodies struct {
	limit      int64 // bytes of one body, also after decompression
	budget     budget
	decoded    budget // memory of parsed bodies, which thus need not wait for arriving ones
	unverified *unverified
	patience   time.Duration // how long a body waits for memory
	timeout    time.Duration // for a body to arrive, or to stall; a moving body gets more
	shed       int           // status of the answer if the memory is used up; 0 is 503
}

// bodyReader reads the body of one callback. It reserves the memory for its buffers in bodies.budget, which limits the
// memory of all bodies together. Call releaseAll at the end of the callback.
type bodyReader struct {
	*bodies
	connection *http.ResponseController
	begun      time.Time
	client     client          // set for bodies in unverified
	place      int             // position in unverified.bodies, from 1; 0 if absent. Guarded by unverified.mu
	arrived    atomic.Int64    // bytes
	held       [2]atomic.Int64 // bytes acquired from each part of the budget
	dropped    atomic.Bool
}

// drop aborts the reading of the body, so that its memory is released for other callbacks. Method read then returns a
// problem whose cause is errDropped. Any goroutine may call drop.
func (in *bodyReader) drop() {
	in.dropped.Store(true)
	_ = in.connection.SetReadDeadline(time.Unix(1, 0))
}

// speed returns the average speed at which the body has arrived until now, in bytes per second. The average begins as
// if 16 KiB had arrived in one second (the minimum speed), so that a new body does not look slow.
func (in *bodyReader) speed(now time.Time) float64 {
	return float64(in.arrived.Load()+slowest) / (now.Sub(in.begun) + time.Second).Seconds()
}

// read blocks until the body has arrived, and returns it as received, not decompressed. It returns a *problem.Problem
// if the body is too large, incomplete or too slow, if drop was called, or if no memory becomes free within 250 ms.
func (in *bodyReader) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > in.limit {
		return nil, tooLarge(in.limit)
	}
	deadline := in.begun.Add(in.timeout)
	// Only connections of tests support no deadlines.
	_ = in.connection.SetReadDeadline(deadline)
	body, err := in.fill(r.Context(), r.Body, r.ContentLength, func(n int) error {
		in.arrived.Add(int64(n))
		// A body may stall no longer than the time-out, however fast it was before.
		deadline = earlier(deadline.Add(time.Duration(n)*time.Second/slowest), time.Now().Add(in.timeout))
		_ = in.connection.SetReadDeadline(deadline)
		if in.dropped.Load() { // the drop may have come before the deadline was moved
			return errDropped
		}
		return nil
	})
	if time.Since(in.begun) > time.Second {
		// The server's WriteTimeout counts from the head of the request, and a slow body may have used it up. The
		// short answer needs no deadline.
		_ = in.connection.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return body, nil
	}
	if in.dropped.Load() {
		return nil, in.outOfMemory(errDropped)
	}
	if _, own := errors.AsType[*problem.Problem](err); !own {
		err = problem.Unread(err)
	}
	return nil, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// isGzip reports whether the body begins like gzip data. It does not use the header Content-Encoding, which proxies
// change.
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b}) }

// unpack returns the decompressed content of a gzip body. Any other body, and one that is not valid gzip, is returned
// as it is. The error is a problem: the content is too large, or no memory became free within 250 ms.
func (in *bodyReader) unpack(ctx context.Context, sent []byte) ([]byte, error) {
	if !isGzip(sent) {
		return sent, nil
	}
	z := getGzipReader(bytes.NewReader(sent))
	if z == nil {
		return sent, nil
	}
	defer z.putBack()
	plain, err := in.fill(ctx, z, unknown, func(int) error { return nil })
	if err == nil {
		return plain, nil
	}
	if _, own := errors.AsType[*problem.Problem](err); own {
		return nil, err
	}
	return sent, nil
}

// fill reads length bytes from r into a new buffer, or all bytes until EOF if length is unknown (-1). After each
// successful read it calls progress with the number of bytes read. It returns the error of r or of progress, or a
// problem if the body is too large or no memory becomes free within 250 ms.
func (in *bodyReader) fill(ctx context.Context, r io.Reader, length int64, progress func(n int) error) ([]byte, error) {
	most := length
	if length == unknown {
		most = in.limit + 1 // one byte more shows that the body is too large
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
		case int64(len(buf)) == length: // complete, whatever err is
		case err == io.EOF:
			return in.fit(ctx, buf)
		case err != nil:
			return nil, err
		}
		if err := progress(n); err != nil {
			return nil, err
		}
	}
}

// fit returns buf, or a smaller copy if the unused capacity exceeds a quarter of len(buf). It returns a problem if buf
// is longer than a body may be, or if no memory becomes free for the copy within 250 ms.
func (in *bodyReader) fit(ctx context.Context, buf []byte) ([]byte, error) {
	if int64(len(buf)) > in.limit {
		return nil, tooLarge(in.limit)
	}
	if cap(buf)-len(buf) <= len(buf)/4 {
		return buf, nil
	}
	return in.resize(ctx, buf, int64(len(buf)))
}

// resize returns a copy of buf with a capacity of size bytes, and releases the memory reserved for buf. size must be at
// least len(buf). If the memory for bodies is used up, resize waits up to 250 ms (in.patience) and then returns a
// problem. Its status is 503, or 429 if Config.ShedWith429 is set.
func (in *bodyReader) resize(ctx context.Context, buf []byte, size int64) ([]byte, error) {
	if err := in.acquire(ctx, size); err != nil {
		return nil, err
	}
	resized := append(make([]byte, 0, size), buf...)
	in.releaseBuffer(int64(cap(buf)))
	return resized, nil
}

func tooLarge(limit int64) error {
	return &problem.Problem{
		Kind: problem.KindTooLarge, Detail: fmt.Sprintf("the limit is %d bytes", limit),
		Cause: errors.New("if Sinch sent this body, the callback is lost: raise public.max_body"),
	}
}
