package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	unknown   = -1       // length of a body that announces none
	smallStep = 4 << 10  // first room for such a body
	firstStep = 64 << 10 // first room for any other, at most: memory follows what arrives, not what is announced
	slowest   = 16 << 10 // bytes a second; a body that moves slower uses up the time-out
)

// bodies reads the bodies of callbacks. All in flight share one budget of memory.
type bodies struct {
	limit    int64 // bytes of one body, also after decompression
	budget   budget
	patience time.Duration // how long a body waits for room
	timeout  time.Duration // for a body to arrive, or to stand still; one that moves gets more
	shed     int           // status of the answer when there is no room
}

// intake is the reading of one body. What was read may be used after release: the budget bounds what is in flight, the
// store bounds what it holds.
type intake struct {
	*bodies
	held [2]int64 // of either share
}

// read reads a request's body whole.
func (in *intake) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > in.limit {
		return nil, tooLarge(in.limit)
	}
	connection := http.NewResponseController(w)
	begun := time.Now()
	deadline := begun.Add(in.timeout)
	// A connection that knows no deadlines is one of a test.
	_ = connection.SetReadDeadline(deadline)
	body, err := in.fill(r.Context(), r.Body, r.ContentLength, func(n int) {
		// What came fast earns no right to stand still: never more than the time-out is left.
		deadline = earlier(deadline.Add(time.Duration(n)*time.Second/slowest), time.Now().Add(in.timeout))
		_ = connection.SetReadDeadline(deadline)
	})
	if err != nil {
		if _, own := errors.AsType[*problem](err); !own {
			err = &problem{kind: kindIncomplete, detail: "the body did not arrive whole", cause: err}
		}
		return nil, err
	}
	if time.Since(begun) > time.Second {
		// A server's time to write counts from the head of the request; the few bytes of an answer need none.
		_ = connection.SetWriteDeadline(time.Time{})
	}
	return body, nil
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
func (in *intake) unpack(ctx context.Context, sent []byte) ([]byte, error) {
	if !isGzip(sent) {
		return sent, nil
	}
	z := unzipper(bytes.NewReader(sent))
	if z == nil {
		return sent, nil
	}
	defer z.putBack()
	plain, err := in.fill(ctx, z, unknown, func(int) {})
	if err == nil {
		return plain, nil
	}
	if _, own := errors.AsType[*problem](err); own {
		return nil, err
	}
	return sent, nil
}

// fill reads length bytes of r, or all where the length is unknown. moved is told how many came at a time while there may be more.
func (in *intake) fill(ctx context.Context, r io.Reader, length int64, moved func(n int)) ([]byte, error) {
	first, most := min(length, firstStep), length
	if length == unknown {
		first, most = smallStep, in.limit+1 // the last byte tells that it is too large
	}
	buf, err := in.resize(ctx, nil, min(first, most))
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
		default:
			moved(n)
		}
	}
}

// fit makes a body of unknown length as small as it turned out to be: the store keeps it for a while.
func (in *intake) fit(ctx context.Context, buf []byte) ([]byte, error) {
	if int64(len(buf)) > in.limit {
		return nil, tooLarge(in.limit)
	}
	if cap(buf)-len(buf) <= len(buf)/4 {
		return buf, nil
	}
	return in.resize(ctx, buf, int64(len(buf)))
}

// resize returns a copy of buf that has room for size bytes.
func (in *intake) resize(ctx context.Context, buf []byte, size int64) ([]byte, error) {
	if err := in.hold(ctx, size); err != nil {
		return nil, err
	}
	resized := append(make([]byte, 0, size), buf...)
	in.let(int64(cap(buf)))
	return resized, nil
}

func tooLarge(limit int64) error {
	return &problem{
		kind: kindTooLarge, detail: fmt.Sprintf("the limit is %d bytes", limit),
		cause: errors.New("if Sinch sent it, it is lost: raise public.max_body"),
	}
}
