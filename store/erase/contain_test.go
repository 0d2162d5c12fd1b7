package erase

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMayContainFindsAllThatThePatternMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := "4" + rapid.StringMatching(`[45]{6,10}`).Draw(t, "digits")
		n, err := New(digits)
		require.NoError(t, err)
		separator := rapid.SampledFrom([]string{"", " ", "-", "x"}).Draw(t, "separator")
		text := rapid.StringMatching(`[45 x]{0,30}`).Draw(t, "before") +
			strings.Join(strings.Split(digits, ""), separator) + rapid.StringMatching(`[45 x]{0,30}`).Draw(t, "after")
		text = text[rapid.IntRange(0, 5).Draw(t, "cut"):]
		if n.pattern.MatchString(text) {
			require.True(t, mayContain(n, text))
			require.True(t, mayContain(n, []byte(text)))
		}
	})
}
