package batchinfo

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Whatever Sinch answers, the info about a batch is small and fits every store: an info that a store refuses would be
// fetched again for ever.
func TestInfoIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		long := func(name string) string {
			part := rapid.SampledFrom([]string{"4", "é", "👋", "x", " ", "\x00", "+"}).Draw(t, name)
			return strings.Repeat(part, rapid.SampledFrom([]int{0, 1, 63, 64, 65, 300, 2049, 5000}).Draw(t, name+" length"))
		}
		to := make([]string, rapid.IntRange(0, 5).Draw(t, "to"))
		for i := range to {
			to[i] = fmt.Sprintf("%q", long("entry"))
		}
		body := fmt.Sprintf(`{"id":"b","to":[%s],"delivery_report":%q,"client_reference":%q}`,
			strings.Join(to, ","), long("kind"), long("reference"))
		info := Convert(parsed(t, strings.ReplaceAll(body, `\x00`, `\u0000`)), store.FromPoll)
		require.LessOrEqual(t, len(info.ReportKind), 64)
		require.True(t, utf8.ValidString(info.ReportKind))
		require.LessOrEqual(t, utf8.RuneCountInString(info.ClientReference), 2048)
		for _, text := range append(info.Numbers, info.ReportKind, info.ClientReference) {
			require.NotContains(t, text, "\x00", "PostgreSQL cannot store NUL")
		}
		for _, n := range info.Numbers {
			require.LessOrEqual(t, len(n), dlr.MaxNumber)
		}
		require.Equal(t, len(info.Numbers)+info.Groups, info.Recipients)
	})
}

func TestTheNumberOfNumbersIsBounded(t *testing.T) {
	to := make([]string, 100_000)
	for i := range to {
		to[i] = fmt.Sprintf(`"4477%08d"`, i)
	}
	info := Convert(parsed(t, `{"id":"b","to":["G",`+strings.Join(to, ",")+`]}`), store.FromPoll)
	require.Len(t, info.Numbers, 1<<16)
	require.Equal(t, 100_001, info.Recipients, "but all recipients count")
	require.Equal(t, 1, info.Groups)
}
