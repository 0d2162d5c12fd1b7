package webhook_test

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
)

// A body whose signature covers the compressed bytes may decompress to anything within the size limit. If the
// signature covers the decompressed bytes, the body must be decompressed before it is verified, so stricter limits
// apply.
func TestLimitsOfVerifyingCompressedBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	small := report("447700900133").body
	padded := func(length int) []byte {
		return append(bytes.Clone(small), bytes.Repeat([]byte(" "), length-len(small))...)
	}
	noise := make([]byte, 300<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	members := bytes.Repeat(zipped(t, nil), 1000)

	for name, c := range map[string]struct {
		signed, body []byte
		status       int
		outcome      string
	}{
		"small, as it came":              {zipped(t, small), zipped(t, small), 200, "stored"},
		"small, decompressed":            {small, zipped(t, small), 200, "stored"},
		"64 KiB, any ratio":              {padded(64 << 10), zipped(t, padded(64<<10)), 200, "stored"},
		"noise, decompressed":            {noise, zipped(t, noise), 200, "quarantined"},
		"high ratio, as it came":         {zipped(t, padded(1<<20)), zipped(t, padded(1<<20)), 200, "stored"},
		"high ratio, decompressed":       {padded(1 << 20), zipped(t, padded(1<<20)), 503, "shed_unverified"},
		"too large, as it came":          {zipped(t, padded(3<<20)), zipped(t, padded(3<<20)), 413, "too_large"},
		"too large, decompressed":        {padded(3 << 20), zipped(t, padded(3<<20)), 503, "shed_unverified"},
		"not signed":                     {nil, zipped(t, small), 503, "unauthorized"},
		"cut, as it came":                {zipped(t, small)[:60], zipped(t, small)[:60], 200, "quarantined"},
		"cut, decompressed":              {small, zipped(t, small)[:60], 503, "unauthorized"},
		"no gzip behind the first bytes": {nil, []byte("\x1f\x8b?"), 503, "unauthorized"},
		"many members, decompressed":     {nil, members, 503, "unauthorized"},
		"a member behind, decompressed":  {small, append(zipped(t, small), zipped(t, noise)...), 503, "unauthorized"},
		"bytes behind, decompressed":     {small, append(zipped(t, small), " "...), 503, "unauthorized"},
		"not whole, decompressed":        {small, zipped(t, small)[:len(zipped(t, small))-1], 503, "unauthorized"},
		"many members, as they came":     {members, members, 200, "quarantined"},
	} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, func(config *webhook.Config) {
				config.MaxBody, config.Plans[0].Auth = 2<<20, bySecrets("old", "s")
			})
			r := p.send(t, callback{header: sign("s", c.signed, time.Now()), body: c.body})
			require.Equal(t, c.status, r.status)
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome="+c.outcome))
		})
	}
}

// An unverified body needs no more memory than its own bytes.
func TestAnUnverifiedBombIsNotDecompressedIntoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	p := serveAuth(t, bySecrets("s"))
	bomb, made := zipped(t, make([]byte, 16<<20)), sign("guess", nil, time.Now())
	send := func() {
		require.Equal(t, http.StatusServiceUnavailable, p.send(t, callback{header: made, body: bomb}).status)
	}
	send() // fills the pools
	perCall := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			send()
		}
	}).AllocedBytesPerOp()
	require.Less(t, perCall, int64(1<<20))
}

func BenchmarkCompressed(b *testing.B) {
	body := report("447700900133").body
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(body)
	require.NoError(b, z.Close())
	for name, signed := range map[string][]byte{"signed as it came": packed.Bytes(), "signed decompressed": body} {
		b.Run(name, func(b *testing.B) {
			header := make(map[string]string)
			for name, values := range sign("s", signed, time.Now()) {
				header[name] = values[0]
			}
			benchmark(b, newBenchmarked(b, bySecrets("s")), header, packed.Bytes())
		})
	}
}
