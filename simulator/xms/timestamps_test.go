package xms

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseTimeAcceptsEveryForm(t *testing.T) {
	want := time.Date(2023, 8, 16, 3, 14, 0, 0, time.UTC)
	for _, text := range []string{
		"2023-08-16T03:14:00Z", "2023-08-16T03:14:00.0000000Z", "2023-08-16T03:14:00.000000000+00:00",
		"2023-08-16T03:14Z",
		"2023-08-16T05:14+0200", "2023-08-16T01:14:00-02:00", "2023-08-16t03:14:00z", "2023-08-16T03:14:00",
		"2023-08-16T03:14",
	} {
		got, ok := ParseTime(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	got, ok := ParseTime("2014-06-23")
	require.True(t, ok)
	require.Equal(t, time.Date(2014, 6, 23, 0, 0, 0, 0, time.UTC), got)
	for _, text := range []string{"", "now", "2023-13-01", "2023-08-16 03:14", "1692155640"} {
		_, ok := ParseTime(text)
		require.False(t, ok, text)
	}
}
