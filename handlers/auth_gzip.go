package handlers

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

// Bounds of a decompression before the caller is verified. JSON compresses to a twentieth at best, zeros to a thousandth.
const (
	maxRatio     = 32       // decompressed bytes for each compressed one
	freeOfRatio  = 64 << 10 // decompressed bytes at any ratio
	gzipTime     = time.Second
	turnPatience = time.Second
	turnCost     = 4 // a decompression that verified nothing keeps its turn this many times as long: a quarter of a processor
)

// unpacking verifies signatures that cover a decompressed body. It decompresses only into the HMAC, a few bodies at a time. Small
// bodies do not wait for large ones.
type unpacking struct{ small, large *turns }

func newUnpacking() unpacking {
	atOnce := max(1, runtime.NumCPU()/4)
	return unpacking{small: newTurns(atOnce), large: newTurns(atOnce)}
}

var (
	errRatio = fmt.Errorf("the signature does not match the compressed body, and the body decompresses to more than %d times its size: "+
		"it was not verified", maxRatio)
	errGzipTime = fmt.Errorf("the signature does not match the compressed body, and decompressing it takes longer than %s: it was not verified", gzipTime)
)

// verify reports whether the signature covers what sent decompresses to. An error says why that is not known: the request was
// refused before it could be verified.
func (u unpacking) verify(s *signatures, h http.Header, sent []byte, limit int64, c client) (bool, error) {
	queue := u.small
	if len(sent) > mediumBody {
		queue = u.large
	}
	if err := queue.take(c, turnPatience); err != nil {
		return false, err
	}
	begun := time.Now()
	verified := false
	defer func() {
		if verified {
			queue.prove(c)
			queue.end()
			return
		}
		time.AfterFunc((turnCost-1)*time.Since(begun), queue.end)
	}()
	verified, err := s.unpacked(h, sent, limit, begun.Add(gzipTime))
	return verified, err
}

// unpacked reports whether sent is one gzip member and the signature covers what it decompresses to.
func (s *signatures) unpacked(h http.Header, sent []byte, limit int64, until time.Time) (bool, error) {
	from := &untilReader{bytes.NewReader(sent), until}
	z := unzipper(from)
	if z == nil {
		return false, from.late()
	}
	defer z.putBack()
	// Many empty members would cost time and decompress to nothing.
	z.Multistream(false)

	most := min(limit, max(freeOfRatio, maxRatio*int64(len(sent))))
	verified, n, err := s.verifiesStream(h, io.LimitReader(&z.Reader, most+1), z.room)
	switch {
	case n > limit:
		return false, tooLarge(limit)
	case n > most:
		return false, errRatio
	case err != nil:
		return false, from.late()
	}
	// unpack reads all members, so what was verified must be all there is.
	_, behind := z.from.ReadByte()
	return verified && errors.Is(behind, io.EOF), from.late()
}

// unzip is a gzip.Reader to be used again.
type unzip struct {
	gzip.Reader
	from *bufio.Reader
	room []byte // to work in
}

var unzips = sync.Pool{New: func() any { return &unzip{from: bufio.NewReader(nil), room: make([]byte, 32<<10)} }}

// unzipper returns nil if r does not begin as gzip does. Put it back when it is used.
func unzipper(r io.Reader) *unzip {
	z := unzips.Get().(*unzip)
	z.from.Reset(r)
	if z.Reset(z.from) != nil {
		z.putBack()
		return nil
	}
	return z
}

func (z *unzip) putBack() {
	z.from.Reset(nil)
	unzips.Put(z)
}

// untilReader reads until a time.
type untilReader struct {
	from  *bytes.Reader
	until time.Time
}

func (r *untilReader) Read(b []byte) (int, error) {
	if err := r.late(); err != nil {
		return 0, err
	}
	return r.from.Read(b)
}

// late is nil before the time is over.
func (r *untilReader) late() error {
	if time.Now().After(r.until) {
		return errGzipTime
	}
	return nil
}
