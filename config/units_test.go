package config

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "1d": day, "30d": 30 * day,
		"1d12h": 36 * time.Hour, "720h": 30 * day, "106751d": 106751 * day,
	} {
		var d Duration
		require.NoError(t, d.parse(text), text)
		require.Equal(t, want, time.Duration(d), text)
	}
	for _, text := range []string{"", "d", "1", "10 s", "1.5d", "1d1d", "1w", "second", "-", "99999999999d", "d5h"} {
		var d Duration
		require.ErrorContains(t, d.parse(text), "is not a duration", text)
	}
	for _, text := range []string{"-1s", "-1d", "1d-2h"} {
		var d Duration
		require.ErrorIs(t, d.parse(text), errNegative, text)
	}
	var d Duration
	require.EqualError(t, d.parse("106752d"), `"106752d" is out of range`)
	require.ErrorContains(t, d.parse("106751d24h"), "is out of range")

	for want, d := range map[string]time.Duration{
		"0s": 0, "1m": time.Minute, "1h": time.Hour, "1h1m": 61 * time.Minute,
		"1h0m1s": time.Hour + time.Second, "2d": 48 * time.Hour, "36h": 36 * time.Hour, "10s": 10 * time.Second,
	} {
		require.Equal(t, want, Duration(d).String())
	}
}

func TestByteSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "16MiB": 16 << 20, "16mib": 16 << 20, "1GB": 1e9, "512 KiB": 512 << 10, "3TiB": 3 << 40,
		"7B": 7, "2TB": 2e12, "5kb": 5000, "8MB": 8e6, "1GiB": 1 << 30,
	} {
		var b ByteSize
		require.NoError(t, b.parse(text), text)
		require.Equal(t, want, int64(b), text)
	}
	for _, text := range []string{"", "MiB", "1.5GiB", "1  MiB", "16Mi", "16 megs", "MiB16", "9223372036854775808", "1 "} {
		var b ByteSize
		if text == "1 " {
			require.NoError(t, b.parse(text))
			continue
		}
		require.ErrorContains(t, b.parse(text), "is not a size", text)
	}
	var b ByteSize
	require.ErrorIs(t, b.parse("-5MiB"), errNegative)
	for want, b := range map[string]ByteSize{
		"0": 0, "1KiB": 1024, "1500B": 1500, "16MiB": 16 << 20,
		"1536MiB": 1536 << 20,
	} {
		require.Equal(t, want, b.String())
	}
}

func TestStringAndParseAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, b := Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "d")), ByteSize(rapid.Int64Range(0,
			math.MaxInt64).Draw(t, "b"))
		if rapid.Bool().Draw(t, "round") {
			d -= d % Duration(time.Minute)
			b -= b % (1 << 20)
		}
		var gotD Duration
		require.NoError(t, gotD.parse(d.String()))
		require.Equal(t, d, gotD)
		var gotB ByteSize
		require.NoError(t, gotB.parse(b.String()))
		require.Equal(t, b, gotB)
	})
	out, err := json.Marshal(struct {
		D Duration
		B ByteSize
	}{Duration(day), 1 << 20})
	require.NoError(t, err)
	require.JSONEq(t, `{"D":"1d","B":"1MiB"}`, string(out))
}
