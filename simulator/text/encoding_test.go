package text

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParts(t *testing.T) {
	a := func(n int) string { return strings.Repeat("a", n) }
	for name, c := range map[string]struct {
		text    string
		parts   int
		unicode bool
	}{
		"nothing":                              {"", 1, false},
		"160 of GSM-7":                         {a(160), 1, false},
		"161 of GSM-7":                         {a(161), 2, false},
		"306 of GSM-7":                         {a(306), 2, false},
		"307 of GSM-7":                         {a(307), 3, false},
		"2000 of GSM-7":                        {a(2000), 14, false},
		"every basic character":                {gsmBasic, 1, false},
		"every extension character":            {gsmExtension, 1, false},
		"80 euros":                             {strings.Repeat("€", 80), 1, false},
		"81 euros":                             {strings.Repeat("€", 81), 2, false},
		"158 characters and a bracket":         {a(158) + "[", 1, false},
		"159 characters and a bracket":         {a(159) + "[", 2, false},
		"a bracket on the border of two parts": {a(152) + "{" + a(152), 3, false},
		"a bracket before the border":          {a(151) + "{" + a(153), 2, false},
		"152 euros":                            {strings.Repeat("€", 152), 2, false},
		"153 euros, 76 per part":               {strings.Repeat("€", 153), 3, false},
		"accents of GSM-7":                     {"Größe è à ñ", 1, false},
		"accents outside GSM-7":                {"Zoë", 1, true},
		"a typographic quote":                  {a(69) + "’", 1, true},
		"a typographic quote, two parts":       {a(70) + "’", 2, true},
		"134 of UCS-2":                         {strings.Repeat("你", 134), 2, true},
		"135 of UCS-2":                         {strings.Repeat("你", 135), 3, true},
		"70 of UCS-2":                          {strings.Repeat("你", 70), 1, true},
		"71 of UCS-2":                          {strings.Repeat("你", 71), 2, true},
		"35 surrogate pairs":                   {strings.Repeat("👋", 35), 1, true},
		"36 surrogate pairs":                   {strings.Repeat("👋", 36), 2, true},
		"66 surrogate pairs, 33 per part":      {strings.Repeat("👋", 66), 2, true},
		"67 surrogate pairs, 33 per part":      {strings.Repeat("👋", 67), 3, true},
		"a pair on the border of two parts": {
			strings.Repeat("你", 66) + "👋" + strings.Repeat("你", 66), 3,
			true,
		},
		"70 units with a surrogate pair":              {strings.Repeat("你", 68) + "👋", 1, true},
		"extension characters take one unit in UCS-2": {"’" + strings.Repeat("€", 69), 1, true},
		"a tab is not in GSM-7":                       {"a\tb", 1, true},
		"a line break is in GSM-7":                    {"a\r\nb", 1, false},
		"a backtick is not in GSM-7":                  {"`", 1, true},
		"a small c with cedilla is not in GSM-7":      {"ç", 1, true},
		"a capital C with cedilla is in GSM-7":        {"Ç", 1, false},
		"Cyrillic is not in GSM-7":                    {"Привет", 1, true},
		"capital Greek letters are in GSM-7":          {"ΔΦΓΛΩΠΨΣΘΞ", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := encodingOf(c.text)
			require.Equal(t, c.unicode, in.DryRunName == "unicode")
			require.Equal(t, c.parts, in.countParts(c.text))
		})
	}
}

func TestFirstPart(t *testing.T) {
	for _, c := range []struct{ text, first string }{
		{"short", "short"},
		{strings.Repeat("a", 161), strings.Repeat("a", 160)},
		{strings.Repeat("a", 159) + "€", strings.Repeat("a", 159)},
		{strings.Repeat("你", 71), strings.Repeat("你", 70)},
		{strings.Repeat("你", 69) + "👋", strings.Repeat("你", 69)},
	} {
		require.Equal(t, c.first, encodingOf(c.text).firstPart(c.text))
	}
}

func TestFill(t *testing.T) {
	values := map[string]string{"name": "Ann", "a.b-c_D9": "x", "sixteen-letters.": "16", "nested": "${name}"}
	for text, want := range map[string]string{
		"":                                 "",
		"no parameter":                     "no parameter",
		"Hi ${name}, ${name}!":             "Hi Ann, Ann!",
		"${a.b-c_D9}${sixteen-letters.}":   "x16",
		"${unknown} and ${name}":           "?${unknown} and Ann",
		"${nested}":                        "${name}",
		"${seventeen.letters":              "${seventeen.letters",
		"${seventeen.letters}":             "${seventeen.letters}",
		"${} $ { $name ${na me} ${${name}": "${} $ { $name ${na me} ${Ann",
	} {
		got, unmatched := fill(text, func(key string) (string, bool) {
			value, ok := values[key]
			return value, ok
		})
		if unmatched {
			got = "?" + got
		}
		require.Equal(t, want, got, text)
	}
}
