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

// Limits for decompressing a body whose signature is not verified yet, so that callers without credentials cost little
// time. JSON compresses to a twentieth of its size at best, zeros to a thousandth.
const (
	maxRatio     = 32       // decompressed bytes per compressed byte
	freeOfRatio  = 64 << 10 // decompressed bytes that are allowed at any ratio
	gzipTime     = time.Second
	turnPatience = time.Second
	// turnCost is how long a decompression that verified nothing keeps its turn, as a multiple of its duration. Each
	// turn thus spends at most a quarter of its time on such bodies.
	turnCost = 4
)

// unpacking verifies signatures that cover the decompressed body. It decompresses a few bodies at a time, and streams
// them into the HMAC. Small and large bodies have separate queues, so that small ones do not wait for large ones.
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

// verify reports whether the signature in the headers h covers the decompressed content of sent, a gzip body. It waits
// up to turnPatience for a turn of client c. It decompresses at most limit bytes, and for at most gzipTime. After an
// error it is unknown whether the signature is valid.
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

// unpacked reports whether sent consists of exactly one gzip member whose content the signature in the headers h
// covers. It returns errGzipTime if the time until comes first, errRatio if the content is more than maxRatio times
// larger than sent, and a KindTooLarge problem if the content has more than limit bytes.
func (s *signatures) unpacked(h http.Header, sent []byte, limit int64, until time.Time) (bool, error) {
	from := &untilReader{bytes.NewReader(sent), until}
	z := unzipper(from)
	if z == nil {
		return false, from.late()
	}
	defer z.putBack()
	// Multistream is off, since many empty members would cost time and decompress to nothing.
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
	// body.go's unpack decompresses all members, so the verified member must be the only one.
	_, behind := z.from.ReadByte()
	return verified && errors.Is(behind, io.EOF), from.late()
}

// unzip is a gzip.Reader with its buffers, which a pool reuses.
type unzip struct {
	gzip.Reader
	from *bufio.Reader
	room []byte // scratch buffer
}

var unzips = sync.Pool{New: func() any { return &unzip{from: bufio.NewReader(nil), room: make([]byte, 32<<10)} }}

// unzipper returns an unzip from the pool that reads from r, or nil if r does not begin with a gzip header. After use
// the caller calls putBack.
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

// untilReader reads bytes, but fails with errGzipTime after the time until.
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

func (r *untilReader) late() error {
	if time.Now().After(r.until) {
		return errGzipTime
	}
	return nil
}
