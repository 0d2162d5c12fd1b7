package dlr

import (
	"log/slog"
	"strings"
	"unicode"
)

// Digits returns the digits of a phone number, the form in which numbers are compared. It removes +, leading 00, white
// space, dashes, dots, slashes and brackets. It returns text that contains anything else, such as a group id,
// unchanged. Calling Digits again on a result changes nothing.
func Digits(number string) string {
	if bare := strings.TrimPrefix(number, "+"); isDigits(bare) && !strings.HasPrefix(bare, "00") {
		return bare
	}
	digits := strings.Map(dropSeparator, number)
	for strings.HasPrefix(digits, "00") {
		digits = digits[2:]
	}
	if !isDigits(digits) {
		return number
	}
	return digits
}

// maxMSISDN is the maximum number of digits of a phone number (ITU-T E.164). MSISDN rejects more.
const maxMSISDN = 15

// MSISDN returns the result of Digits. ok is true if the result consists of 1 to 15 digits, as for a phone number or a
// short code. ok is false for other text, such as a masked number or an alphanumeric sender.
func MSISDN(number string) (digits string, ok bool) {
	digits = Digits(number)
	return digits, digits != "" && len(digits) <= maxMSISDN && isDigits(digits)
}

func dropSeparator(r rune) rune {
	switch r {
	case '+', '-', '.', '/', '(', ')':
		return -1
	}
	// Cf are invisible characters that are often copied along with a number.
	if unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe, unicode.Cf) {
		return -1
	}
	return r
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Number is a recipient's phone number as it was received. If it is logged with log/slog, most of its digits are
// replaced by *.
type Number string

// Digits returns the digits of n, the form in which phone numbers are compared. It does the same as the function
// Digits.
func (n Number) Digits() string { return Digits(string(n)) }

// Masked returns the digits of n with all but the first three and the last two replaced by *. It returns *** if n has
// fewer than 8 digits or is not a number.
func (n Number) Masked() string {
	d := n.Digits()
	if len(d) < 8 || !isDigits(d) {
		return "***"
	}
	return d[:3] + strings.Repeat("*", len(d)-5) + d[len(d)-2:]
}

// LogValue returns the masked number, so that log/slog prints no whole phone number.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
