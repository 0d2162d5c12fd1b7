package dlr

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDigits(t *testing.T) {
	for number, want := range map[string]string{
		"447700900133": "447700900133", "+447700900133": "447700900133", "00447700900133": "447700900133",
		"+44 7700 900-133": "447700900133", "(0044) 7700/900.133": "447700900133", "[44]7700900133": "447700900133",
		" 00 44 7700 900133\t": "447700900133", "44\u00a07700\u202f900133": "447700900133",
		"\u202a+447700900133\u202c": "447700900133",
		"44–7700—900‑133":           "447700900133",
		"+00447700900133":           "447700900133", "0000447700900133": "447700900133",
		"0447700900133": "0447700900133", "54321": "54321", "0": "0", "000": "0",
		"": "", "+": "", "00": "", " \n": "", "--()": "",
		"dxCJTlfb1UsF": "dxCJTlfb1UsF", "3-mbA7z9wDKY76ag": "3-mbA7z9wDKY76ag", "00Brand": "00Brand",
		"My-Brand 1":            "My-Brand 1",
		"+44 7700 900133 ext 5": "+44 7700 900133 ext 5", "٤٤٧": "٤٤٧", "44\xff7700": "44\xff7700",
		"44\x007700": "44\x007700",
	} {
		require.Equal(t, want, Digits(number), "%q", number)
		require.Equal(t, want, Number(number).Digits(), "%q", number)
	}
}

func TestMSISDN(t *testing.T) {
	for number, want := range map[string]string{
		"447700900133": "447700900133", "+44 7700.900–133": "447700900133", "54321": "54321", "7": "7",
		"123456789012345": "123456789012345",
		"":                "", "+": "", "00": "", "1234567890123456": "", "anonymous": "", "4477009001**": "", "٤٤٧": "",
		"+44 7700 900133 ext 5": "",
	} {
		digits, ok := MSISDN(number)
		require.Equal(t, want != "", ok, "%q", number)
		if ok {
			require.Equal(t, want, digits, "%q", number)
		}
	}
}

func drawNumber(t *rapid.T, label string) string {
	return rapid.StringMatching(`[1-9][0-9]{7,14}`).Draw(t, label)
}

// decorate returns a number in one of the spellings that Sinch documents.
func decorate(t *rapid.T, number string) string {
	var b strings.Builder
	b.WriteString(rapid.SampledFrom([]string{"", "+", "00", " +", "(00) "}).Draw(t, "prefix"))
	for _, digit := range number {
		b.WriteRune(digit)
		b.WriteString(rapid.SampledFrom([]string{"", "", "", "", " ", "-", ")", "("}).Draw(t, "separator"))
	}
	return b.String()
}

func TestDigitsUndoDecoration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := drawNumber(t, "number")
		require.Equal(t, number, Digits(decorate(t, number)))
	})
}

func TestDigitsOfDigitsAreTheSame(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0+( -]{0,4}[0-9a ./]{0,16}`))
	rapid.Check(t, func(t *rapid.T) {
		once := Digits(text.Draw(t, "text"))
		require.Equal(t, once, Digits(once))
	})
}

func TestMasked(t *testing.T) {
	for number, want := range map[Number]string{
		"447700900133": "447*******33", "+44 7700 900-133": "447*******33", "0012025550143": "120******43",
		"12345678": "123***78",
		"1234567":  "***", "54321": "***", "": "***", "dxCJTlfb1UsF": "***",
		"+44 7700 900133 ext 5": "***", "ééééééééééé": "***",
	} {
		require.Equal(t, want, number.Masked(), "%q", string(number))
	}
}

func TestMaskedNeverReturnsTheWholeNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`[1-9][0-9]{0,24}`).Draw(t, "number")
		n := Number(decorate(t, number))
		masked := n.Masked()
		require.NotContains(t, masked, number)
		shown := strings.ReplaceAll(masked, "*", "")
		require.LessOrEqual(t, len(shown), 5)
		require.GreaterOrEqual(t, len(number)-len(shown), min(3, len(number)), "at least three digits are hidden")

		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime})).Info("report",
			"recipient", n, slog.Group("g", "n", n))
		require.NotContains(t, log.String(), string(n))
		require.Equal(t, 2, strings.Count(log.String(), `"`+masked+`"`))
	})
}

// withoutTime removes the time from a log line, so that only the attributes contain digits.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
