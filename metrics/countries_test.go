package metrics

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountryOfANumber(t *testing.T) {
	c := newCountries()
	for number, country := range map[string]string{
		"447700900133": "GB", "33612345678": "FR", "4915112345678": "DE", "905321234567": "TR", "27821234567": "ZA",
		"46701234567": "SE", "5511987654321": "BR", "819012345678": "JP", "8613800138000": "CN", "639171234567": "PH",
		// three-digit codes
		"351912345678": "PT", "358401234567": "FI", "380501234567": "UA", "972501234567": "IL", "998901234567": "UZ",
		"2348012345678": "NG",
		"38349123456":   "XK", "8801712345678": "BD", "247123456": "SH", "290123456": "SH",
		// North America, by area code
		"12025550100": "US", "18005550100": "US", "14165550100": "CA", "16045550100": "CA", "18765550100": "JM",
		"16585550100": "JM",
		"18095550100": "DO", "18295550100": "DO", "18495550100": "DO", "17875550100": "PR", "12425550100": "BS",
		"18685550100": "TT",
		"10025550100": "other", "11235550100": "other",
		// Russia and Kazakhstan
		"79161234567": "RU", "74951234567": "RU", "77011234567": "KZ", "76001234567": "KZ", "99701234567": "KZ",
		// codes longer than the country's own
		"59991234567": "CW", "5993181234": "BQ", "672101234": "AQ", "672312345": "NF",
		// not the code of a country
		"88212345678": "other", "87012345678": "other", "80012345678": "other", "21012345678": "other",
		"99912345678": "other",
		"07700900133": "other", "00447700900133": "other",
		// not a number
		"": "other", "44": "other", "447700": "other", "4477009": "GB", "447700900133447": "GB",
		"4477009001334477": "other", "44a7009001": "other",
		"4:77009001": "other", "４４７７００": "other",
	} {
		require.Equal(t, country, c.names[c.countryOf(number)], number)
	}
}

func TestTheTableOfCallingCodes(t *testing.T) {
	c := newCountries()
	require.Less(t, len(c.names), 256, "a country's number is a byte")
	require.Greater(t, len(c.names), 200)
	codes := regexp.MustCompile(`[0-9]+`).FindAllString(callingCodes, -1)
	slices.Sort(codes)
	require.Equal(t, slices.Compact(slices.Clone(codes)), codes, "no code belongs to two countries")
	for _, code := range codes {
		require.LessOrEqual(t, len(code), prefixDigits)
	}
	names := slices.Sorted(slices.Values(c.names[1:]))
	require.Equal(t, slices.Compact(slices.Clone(names)), names, "every country is listed once")
	for _, name := range names {
		require.Regexp(t, `^[A-Z]{2}$`, name)
	}
	for i, name := range c.names {
		require.True(t, i == 0 || slices.Contains(c.byPrefix[:], uint8(i)), "%s has numbers", name)
	}
}

// A linear search through the table finds the same country.
func TestTheLongestCodeWins(t *testing.T) {
	country := make(map[string]string)
	for _, entry := range strings.Split(strings.ReplaceAll(callingCodes, "\n   ", " "), "\n") {
		for _, one := range strings.Split(entry, ";") {
			if fields := strings.Fields(one); len(fields) > 0 {
				for _, code := range fields[1:] {
					country[code] = fields[0]
				}
			}
		}
	}
	c, random := newCountries(), rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		number := make([]byte, 11)
		for i := range number {
			number[i] = byte('0' + random.IntN(10))
		}
		want := other
		for length := 1; length <= len(number); length++ {
			if name, listed := country[string(number[:length])]; listed {
				want = name
			}
		}
		require.Equal(t, want, c.names[c.countryOf(string(number))], "%s", number)
	}
}

func BenchmarkCountry(b *testing.B) {
	c := newCountries()
	b.ReportAllocs()
	for b.Loop() {
		if c.countryOf("447700900133") == 0 {
			b.Fatal("no country")
		}
	}
}
