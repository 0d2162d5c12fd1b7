package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPhoneNumbersInManyNotations(t *testing.T) {
	for text, want := range map[string]string{
		"+33 6 12 34 56 78": "33612345678", "33 6 12 34 56 78": "33612345678", "+33-6-12-34-56-78": "33612345678",
		"+1 (202) 555-0143": "12025550143", "1-202-555-0143": "12025550143", "1.202.555.0143": "12025550143",
		"(1) 202 555 0143": "12025550143",
		"+49 171/1234567":  "491711234567", "49171/1234567": "491711234567", "+43 664/123 4567": "436641234567",
		"+62 812-3456-7890": "6281234567890", "86 13812345678": "8613812345678", "+55 11 98765-4321": "5511987654321",
		"+7 912 345-67-89": "79123456789", "7 (912) 345-67-89": "79123456789", "91 98765 43210": "919876543210",
		"+354 555 1234": "3545551234", "+372 555 123": "372555123", "852 9123 4567": "85291234567",
		"+683 4001":           "6834001",
		"+225 07 12 34 56 78": "2250712345678", "+229 01 97 12 34 56": "2290197123456",
		"+39 347 123 4567": "393471234567",
		"+39 (06) 12345":   "390612345", "+39 06 1234567": "39061234567", "+378 0549 123456": "3780549123456",
		"(0044) 7700 900101": "447700900101", "00 44 7700 900101": "447700900101", "(+44) 7700 900101": "447700900101",
		"+(44) 7700900101": "447700900101", "(44) 7700 900101": "447700900101", "447700 900101": "447700900101",
		"- 447700900101": "447700900101",
		"447700900101.":  "447700900101", "[447700900101]": "447700900101",
	} {
		got, err := parseRecipients([]byte("phone\n" + text + "\n"))
		require.NoError(t, err, text)
		require.Equal(t, []string{want}, got, text)
	}
}

// TestWhatIsNotOnePhoneNumberIsRejected has cells with the digits of a phone number that are something else.
func TestWhatIsNotOnePhoneNumberIsRejected(t *testing.T) {
	for text, want := range map[string]string{
		"1000000-1000009": "is not a phone number", "1000000–1000009": "is not a phone number",
		"1000000/1000009": "is not a phone number",
		"2000000 2000009": "is not a phone number", "2000000 - 2000009": "is not a phone number",
		"+447700900101-09": "is not a phone number",
		"447700900101-102": "is not a phone number", "447700900101..09": "is not a phone number",
		"4477009001..09": "is not a phone number",
		"447700900/101":  "is not a phone number", "4477009/1": "is not a phone number",
		"447700900101 5": "is not a phone number",
		"51.5074 0.1278": "is not a phone number", "1234567-": "is not a phone number",
		"447700900101-":   "is not a phone number",
		"1. 447700900101": "is not a phone number", "1) 447700900101": "is not a phone number",
		"2. 447700900101":  "is not a phone number",
		"(2) 447700900101": "is not a phone number", "2 447700900101": "is not a phone number",
		"20 447700900101":  "is not a phone number",
		"5-7-447700900101": "is not a phone number", "447700900101()": "is not a phone number",
		"4477)00900101(": "is not a phone number",
		"4477(00900101":  "is not a phone number", "1.234.567": "is not a phone number",
		"1 234 567":  "is not a phone number",
		"12.345.678": "is not a phone number", "223-45-6789": "is not a phone number",
		"90210-1234":        "is not a phone number",
		"3782 822463 10005": "is not a phone number", "978-3-16-148410-0": "is not a phone number",
		"9783161484100":     "is not a phone number",
		"20-34-56 12345678": "is not a phone number", "2026-333": "is not a phone number",
		"+1 202 555 01434": "is not a phone number",
		"10.30 29.11.2026": "is a date", "2026-11-29-0001": "is a date", "20261129 103000": "is a date",
		"(202) 555-0143": "is a national number", "202-555-0143": "is a national number",
		"202.555.0143": "is a national number",
		"98765 43210":  "is a national number", "7700900101": "is a national number",
		"1711234567":   "is a national number",
		"(06) 1234567": "is a national number", "+44 07700 900101": "has a 0 after the country code",
		"+4407700900101": "has a 0 after the country code", "+44 (07700) 900101": "has a 0 after the country code",
		"49 0171 1234567": "has a 0 after the country code", "+49/0171/1234567": "has a 0 after the country code",
		"00353 087 123 4567": "has a 0 after the country code", "+39 (0) 347 1234567": "has (0) in it",
	} {
		for _, file := range []string{
			text, "phone\n" + text + "\n", "447700900101\n" + text, `["` + text + `"]`,
			"name;phone\nEva;" + text,
		} {
			got, err := parseRecipients([]byte(file))
			require.Empty(t, got, file)
			require.ErrorContains(t, err, want, file)
			require.NotContains(t, err.Error(), text)
		}
		_, err := checkRecipients([]string{text})
		require.ErrorContains(t, err, "entry 1 "+want)
	}
}

// Short codes have no country code to check.
func TestShortCodesAreAccepted(t *testing.T) {
	for _, code := range []string{"10123", "70123", "44000", "123456"} {
		got, err := checkRecipients([]string{code})
		require.NoError(t, err, code)
		require.Equal(t, []string{code}, got)
	}
}
