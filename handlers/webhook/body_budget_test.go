package webhook_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// While the store blocks some callbacks, further ones that find no memory are refused at once instead of waiting.
func TestMemoryForBodiesIsBounded(t *testing.T) {
	for name, status := range map[string]int{"503": http.StatusServiceUnavailable, "429": http.StatusTooManyRequests} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, func(c *webhook.Config) {
				c.MaxBody, c.Memory, c.ShedWith429 = 1000, 12_000, status == http.StatusTooManyRequests
			})
			large := func(i int) callback {
				c := report(fmt.Sprintf("44770090013%d", i))
				c.body = append(c.body, bytes.Repeat([]byte(" "), 1000-len(c.body))...)
				return c
			}
			p.store.FailRecord(storetest.Stuck, nil, 3)
			held := make(chan int, 3)
			for i := range 3 {
				go func() { held <- p.send(t, large(i)).status }()
			}
			p.store.AwaitWaiting(3)

			r := p.send(t, large(3))
			require.Equal(t, status, r.status)
			require.NotEmpty(t, r.header.Get("Retry-After"))
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome=shed"))
			require.Zero(t, p.count(t, "lossy_responses_total"))

			require.Equal(t, http.StatusOK, p.send(t, report("447700900139")).status,
				"small bodies have their own part")

			p.store.Heal()
			for range 3 {
				require.Equal(t, http.StatusOK, <-held)
			}
			require.Equal(t, http.StatusOK, p.send(t, large(3)).status)
			require.Len(t, p.kept(t), 5)
		})
	}
}

// The memory of a parsed body is charged until it is recorded: three times the body's size. Here it suffices for three
// bodies.
func TestParsedBodiesAreBounded(t *testing.T) {
	p := servePublic(t, func(c *webhook.Config) { c.MaxBody, c.Memory = 200<<10, 2000<<10 })
	large := append(report("447700900133").body, bytes.Repeat([]byte(" "), 150<<10)...)
	p.store.FailRecord(storetest.Stuck, nil, 3)
	held := make(chan int, 3)
	for i := range 3 {
		go func() { held <- p.send(t, callback{header: verified(), body: large}).status }()
		p.store.AwaitWaiting(i + 1)
	}
	require.Equal(t, http.StatusOK, p.send(t, report("447700900134")).status, "small bodies have their own part")
	for _, length := range []int64{0, -1} {
		r := p.send(t, callback{header: verified(), body: large, length: length})
		require.Equal(t, http.StatusServiceUnavailable, r.status)
	}
	require.Equal(t, 2, p.count(t, "callbacks_total", "outcome=shed"))
	p.store.Heal()
	for range 3 {
		require.Equal(t, http.StatusOK, <-held)
	}
}

// Memory is released however a callback ends.
func TestMemoryIsReleased(t *testing.T) {
	p := servePublic(t,
		func(c *webhook.Config) { c.MaxBody, c.Memory, c.StoreTimeout = 200<<10, 800<<10, aWhile })
	large := append(report("447700900133").body, bytes.Repeat([]byte(" "), 150<<10)...)
	for range 6 {
		for _, kind := range []storetest.Kind{
			storetest.Works, storetest.NotApplied, storetest.Panics,
			storetest.Stuck,
		} {
			p.store.FailRecord(kind, nil, 1)
			p.send(t, callback{header: verified(), body: large, length: -1})
		}
		p.send(t, callback{header: verified(), body: large})
		p.send(t, callback{header: verified(), body: zipped(t, large)})
		p.send(t, callback{header: verified(), body: bytes.Repeat(large, 2), length: -1})
		p.send(t, callback{header: verified(), body: zipped(t, bytes.Repeat(large, 2))})
		p.send(t, callback{header: verified(), body: zipped(t, large)[:300]})
	}
	require.Zero(t, p.count(t, "callbacks_total", "outcome=shed"))
}

// The smallest accepted memory suffices for the largest body, even if the body does not compress.
func TestTheLargestBodyFitsIntoTheSmallestMemory(t *testing.T) {
	for _, limit := range []int{1000, 64 << 10, 100 << 10, 256 << 10} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			p := servePublic(t, func(c *webhook.Config) { c.MaxBody, c.Memory = int64(limit), int64(4*limit) })
			largest := make([]byte, limit)
			_, _ = rand.NewChaCha8([32]byte{}).Read(largest)
			for _, plain := range [][]byte{largest, largest[:limit-100], largest[:limit/4], largest[:limit/16]} {
				for _, length := range []int64{0, -1} {
					r := p.send(t, callback{header: verified(), body: plain, length: length})
					require.Equal(t, http.StatusOK, r.status, "%d bytes", len(plain))
				}
				packed := zipped(t, plain)
				if len(packed) > limit {
					continue
				}
				for _, length := range []int64{0, -1} {
					r := p.send(t, callback{header: verified(), body: packed, length: length})
					require.Equal(t, http.StatusOK, r.status, "%d bytes, compressed", len(plain))
				}
			}
		})
	}
}

// post sends a request that announces a body of length bytes but sends only body. The returned function waits for the
// status.
func post(connection net.Conn, header http.Header, length int, body []byte) (status func() string) {
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST /webhooks/%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n", plan, length)
	_ = header.Write(&request)
	request.WriteString("\r\n")
	request.Write(body)
	go func() { _, _ = connection.Write(request.Bytes()) }()
	return func() string {
		b := make([]byte, len("HTTP/1.1 200"))
		_, _ = io.ReadFull(connection, b)
		go func() { _, _ = io.Copy(io.Discard, connection) }()
		return string(b[len("HTTP/1.1 "):])
	}
}

// With an invented signature a caller gets its body read. Many such bodies that stall must not keep genuine callbacks
// out.
func TestStalledBodiesKeepNoCallbackOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := overPipes(t, webhook.Config{
			Plans:   []webhook.Plan{{ID: plan, Auth: bySecrets("s")}},
			MaxBody: 256 << 10, Memory: 4 << 20,
		}, &recorder{})
		small := report("447700900133").body
		large := append(small, bytes.Repeat([]byte(" "), 100<<10)...)
		genuine := func(body []byte) string {
			return post(dial(), sign("s", body, time.Now()), len(body), body)()
		}
		require.Equal(t, "200", genuine(large))

		made := sign("guess", nil, time.Now())
		stall := func(count, length int) {
			for range count {
				post(dial(), made, length, make([]byte, length-1))
				synctest.Wait()
			}
			time.Sleep(300 * time.Millisecond) // bodies that wait for memory are refused
		}
		stall(15, 256<<10)
		for length := 128 << 10; length > 32; length /= 2 { // fills the remaining memory, down to less than a report
			stall(3, length)
		}
		require.Equal(t, "200", genuine(large), "slower bodies are dropped")
		for range 20 {
			require.Equal(t, "200", genuine(small))
		}
		require.Equal(t, "200", genuine(zipped(t, small)))
	})
}
