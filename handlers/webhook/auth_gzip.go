package webhook

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// The limits for decompressing a body before it is known whether its signature is valid. A body beyond them is refused
// with an answer that makes Sinch repeat it.
const (
	maxRatio     = 32       // decompressed bytes per compressed byte; JSON reaches 20, zeros 1000
	freeOfRatio  = 64 << 10 // decompressed bytes that are allowed at any ratio
	gzipTime     = time.Second
	turnPatience = time.Second
	// turnCost is how long a decompression that verified nothing keeps its turn, as a multiple of its duration. Each
	// turn thus spends at most a quarter of its time on such bodies.
	turnCost = 4
)

// unpacking verifies signatures that cover the decompressed content of a gzip body. It limits how many bodies are
// decompressed at the same time. Further bodies wait in one of two queues: those of up to 64 KiB (compressed) in the
// queue small, larger ones in the queue large.
type unpacking struct{ small, large *turns }

func newUnpacking() unpacking {
	atOnce := max(1, runtime.NumCPU()/4)
	return unpacking{small: newTurns(atOnce), large: newTurns(atOnce)}
}

var (
	errRatio = fmt.Errorf("the signature does not match the compressed body, which was not verified decompressed: "+
		"it decompresses to more than %d times its size", maxRatio)
	errGzipTime = fmt.Errorf("the signature does not match the compressed body, which was not verified decompressed: "+
		"decompressing it takes longer than %s", gzipTime)
)

// verify reports whether the signature in the headers h covers the decompressed content of body, a gzip body from
// client c. It returns false if body is not valid gzip data. It returns errNoTurn if the queue is full, or after one
// second (turnPatience) in the queue. It returns another error if the content has more than limit bytes, is too large
// for the size of body, or takes too long to decompress.
func (u unpacking) verify(s *signatures, h http.Header, body []byte, limit int64, c client) (bool, error) {
	queue := u.small
	if len(body) > mediumBody {
		queue = u.large
	}
	if err := queue.acquire(c, turnPatience); err != nil {
		return false, err
	}
	begun := time.Now()
	verified := false
	defer func() {
		if verified {
			queue.markTrusted(c)
			queue.release()
			return
		}
		time.AfterFunc((turnCost-1)*time.Since(begun), queue.release)
	}()
	verified, err := s.verifiesContent(h, body, limit, begun.Add(gzipTime))
	return verified, err
}

// verifiesContent reports whether the signature in the headers h covers the decompressed content of body. It returns
// false if body is not valid gzip data or has more than one gzip member. It returns errGzipTime after the deadline, a
// problem with status 413 if the content has more than limit bytes, and errRatio if the content exceeds both 64 KiB and
// 32 times the size of body.
func (s *signatures) verifiesContent(h http.Header, body []byte, limit int64, deadline time.Time) (bool, error) {
	from := &deadlineReader{bytes.NewReader(body), deadline}
	z := getGzipReader(from)
	if z == nil {
		return false, from.late()
	}
	defer z.putBack()
	// Multistream is off, since many empty members would cost time and decompress to nothing.
	z.Multistream(false)

	most := min(limit, max(freeOfRatio, maxRatio*int64(len(body))))
	verified, n, err := s.verifiesStream(h, io.LimitReader(&z.Reader, most+1), z.room)
	switch {
	case n > limit:
		return false, tooLarge(limit)
	case n > most:
		return false, errRatio
	case err != nil:
		return false, from.late()
	}
	// body.go's unpack decompresses all members, so the verified member must be the only one.
	_, behind := z.from.ReadByte()
	return verified && errors.Is(behind, io.EOF), from.late()
}

// gzipReader is a gzip reader with its buffers. It is reused for many bodies: getGzipReader takes one from a pool, and
// putBack returns it to the pool.
type gzipReader struct {
	gzip.Reader
	from *bufio.Reader
	room []byte // scratch buffer
}

var gzipReaders = sync.Pool{New: func() any {
	return &gzipReader{from: bufio.NewReader(nil), room: make([]byte, 32<<10)}
}}

// getGzipReader returns a reader of the gzip data in r from a pool, or nil if r does not begin with a gzip header. Call
// putBack after the last use.
func getGzipReader(r io.Reader) *gzipReader {
	z := gzipReaders.Get().(*gzipReader)
	z.from.Reset(r)
	if z.Reset(z.from) != nil {
		z.putBack()
		return nil
	}
	return z
}

func (z *gzipReader) putBack() {
	z.from.Reset(nil)
	gzipReaders.Put(z)
}

// deadlineReader reads from a byte slice until a deadline. After the deadline, Read returns errGzipTime.
type deadlineReader struct {
	from     *bytes.Reader
	deadline time.Time
}

func (r *deadlineReader) Read(b []byte) (int, error) {
	if err := r.late(); err != nil {
		return 0, err
	}
	return r.from.Read(b)
}

func (r *deadlineReader) late() error {
	if time.Now().After(r.deadline) {
		return errGzipTime
	}
	return nil
}
