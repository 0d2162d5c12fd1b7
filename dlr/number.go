package dlr

import (
	"log/slog"
	"strings"
	"unicode"
)

// Digits returns the form in which numbers are compared: without +, leading 00, spaces, dashes, dots, slashes and
// brackets, since Sinch shows the same recipient with and without them. What has anything else in it is no number (a
// group id, say) and stays itself. Digits of digits are the same digits.
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

// maxMSISDN is the longest number of ITU-T E.164, in digits.
const maxMSISDN = 15

// MSISDN returns the digits of a number as Sinch takes it, and whether there are any: 1 to 15 digits, so that short codes
// count. A masked number, a word and a sender's name do not.
func MSISDN(number string) (digits string, ok bool) {
	digits = Digits(number)
	return digits, digits != "" && len(digits) <= maxMSISDN && isDigits(digits)
}

func dropSeparator(r rune) rune {
	switch r {
	case '+', '-', '.', '/', '(', ')':
		return -1
	}
	// Cf are the invisible marks that come along when a number is copied from a text.
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

// Number is a recipient's number as it came. It masks itself when it is the value of a log attribute.
type Number string

// Digits returns the form in which numbers are compared.
func (n Number) Digits() string { return Digits(string(n)) }

// Masked shows at most the first three and the last two digits: enough to recognise a number one knows. Of a short
// number, and of what is no number, it shows nothing.
func (n Number) Masked() string {
	d := n.Digits()
	if len(d) < 8 || !isDigits(d) {
		return "***"
	}
	return d[:3] + strings.Repeat("*", len(d)-5) + d[len(d)-2:]
}

// LogValue masks the number.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
