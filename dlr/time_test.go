package dlr

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2025-01-13T09:22:40.914Z":               "2025-01-13 09:22:40.914",
		"2025-01-13T09:22:00Z":                   "2025-01-13 09:22:00.000",
		"2016-12-05T16:24:00.000Z":               "2016-12-05 16:24:00.000",
		"2023-08-16T03:14:17.0000000Z":           "2023-08-16 03:14:17.000",
		"2025-01-13T09:22:40.9Z":                 "2025-01-13 09:22:40.900",
		"2025-01-13T09:22:40.914999999Z":         "2025-01-13 09:22:40.914",
		"2025-01-13T09:22:40.91499999999999999Z": "2025-01-13 09:22:40.914",
		"2025-01-13T09:22:40,914Z":               "2025-01-13 09:22:40.914",
		"2025-01-13t09:22:40.914z":               "2025-01-13 09:22:40.914",
		"2025-01-13T09:22:40.914+00:00":          "2025-01-13 09:22:40.914",
		"2025-01-13T09:22:40.914+05:30":          "2025-01-13 03:52:40.914",
		"2025-01-13T09:22:40.914-0530":           "2025-01-13 14:52:40.914",
		"2025-01-13T09:22:40-08":                 "2025-01-13 17:22:40.000",
		"2025-01-13T09:22:40.914":                "2025-01-13 09:22:40.914",
		"2025-01-13 09:22:40.914":                "2025-01-13 09:22:40.914",
		"2025-01-13 09:22:40+01:00":              "2025-01-13 08:22:40.000",
		"2025-01-13T09:22Z":                      "2025-01-13 09:22:00.000",
		"2025-01-13T09:22z":                      "2025-01-13 09:22:00.000",
		"2025-01-13T09:22+01:00":                 "2025-01-13 08:22:00.000",
		"2025-01-13T09:22+0100":                  "2025-01-13 08:22:00.000",
		"2025-01-13T09:22+01":                    "2025-01-13 08:22:00.000",
		"2025-01-13T09:22":                       "2025-01-13 09:22:00.000",
		"2014-06-23":                             "2014-06-23 00:00:00.000",
		" 2014-06-23\n":                          "2014-06-23 00:00:00.000",
		"2024-02-29T23:59:59Z":                   "2024-02-29 23:59:59.000",
		"2025-12-31T23:30:00-01:00":              "2026-01-01 00:30:00.000",
		"1970-01-01T00:00:00.001Z":               "1970-01-01 00:00:00.001",
		"9999-12-31T23:59:59.9999999Z":           "9999-12-31 23:59:59.999",
	} {
		t.Run(text, func(t *testing.T) {
			got, ok := ParseTime(text)
			require.True(t, ok)
			require.Equal(t, at(want), got) // also compares the zone
		})
	}
}

func TestParseTimeRejectsOtherText(t *testing.T) {
	for _, text := range []string{
		"", " ", "now", "2025", "2025-01", "20250113T092240Z", "13.01.2025", "1736760160", "2025-13-01",
		"2025-02-29T00:00:00Z",
		"2025-01-13T24:00:00Z", "2025-01-13T09:60:00Z", "2025-01-13T09:22:40.914Zjunk", "2025-01-13T09:22:40+25:00",
		"+2025-01-13",
		"2025-01-13T09:22:40.Z", "2025-01-13TT09:22", "٢٠٢٥-01-13", "2025-01-13\x00", "0001-01-01T00:00:00Z",
		"0000-01-01T00:00:00Z",
		"0000-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-01",
		"1970-01-01T00:00:00.0009Z",
		"1970-01-01T01:00:00+02:00", "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01",
		"9999-12-31T23:59-23:59", strings.Repeat("2", 1<<20), "2025-01-13T09:22:40." + strings.Repeat("9", 100) + "Z",
	} {
		got, ok := ParseTime(text)
		require.False(t, ok, "%.40q", text)
		require.Zero(t, got)
	}
}

func TestEveryFormOfATimeParsesTheSame(t *testing.T) {
	forms := []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.000Z07:00", "2006-01-02t15:04:05.000000000Z07:00",
		"2006-01-02T15:04:05.0000000-0700",
		"2006-01-02 15:04:05.000-07:00", "2006-01-02T15:04:05,000Z0700",
	}
	rapid.Check(t, func(t *rapid.T) {
		want := time.UnixMilli(rapid.Int64Range(1, year10000-1).Draw(t, "ms")).UTC()
		offset := rapid.IntRange(-14*60, 14*60).Draw(t, "minutes")
		local := want.In(time.FixedZone("", offset*60))
		if local.Year() < 1970 || local.Year() > 9999 {
			local = want
		}
		got, ok := ParseTime(local.Format(rapid.SampledFrom(forms).Draw(t, "form")))
		require.True(t, ok)
		require.Equal(t, want, got)
	})
}

// checkTime checks what must hold for every result of ParseTime.
func checkTime(t testing.TB, text string) {
	got, ok := ParseTime(text)
	if !ok {
		require.True(t, got.IsZero())
		return
	}
	require.Equal(t, time.UTC, got.Location())
	require.Zero(t, got.Nanosecond()%int(time.Millisecond))
	require.True(t, got.After(time.Unix(0, 0)))
	require.LessOrEqual(t, got.Year(), 9999)
	_, err := got.MarshalJSON()
	require.NoError(t, err)
	again, ok := ParseTime(got.Format(time.RFC3339Nano))
	require.True(t, ok)
	require.Equal(t, got, again)
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{
		"2025-01-13T09:22:40.914Z", "2025-01-13T09:22:00Z", "2023-08-16T03:14:17.0000000Z", "2025-08-21T14:05+0200",
		"2025-01-13t09:22:40,914z", "2025-01-13 09:22:40-08", "2014-06-23", "0000-01-01T00:00:00+23:59",
		"9999-12-31T23:59:59.999999999-23:59", "1970-01-01T00:00:00Z", "", "١",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkTime(t, text) })
}
