package cli

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	year  = `(?:19|20)\d\d`
	part  = `(?:0?[1-9]|[12]\d|3[01])` // a day or a month
	part2 = `(?:0[1-9]|[12]\d|3[01])`
	apart = `[-./] ?`
)

var (
	dateShape = regexp.MustCompile(`(?:^| )(?:` + year + apart + part + apart + part + `|` +
		part + apart + part + apart + year + `)(?:[^\d]|$)`)

	compactDate  = regexp.MustCompile(`^(?:` + year + part2 + part2 + `(?:\d{6})?|` + part2 + part2 + year + `)$`)
	addressShape = regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:/\d+)?$`)
	trunkShape   = regexp.MustCompile(`\d[^\d]*\( ?0 ?\)|^\+?\d{1,3}[-./ ]+0[-./ ]`)
	decimalShape = regexp.MustCompile(`^\+?[\d ]+\.(?:\d{1,2}|\d*)$`)
	dottedShape  = regexp.MustCompile(`^(?:\+\d{1,3}\.\d{4,}|\+?\d+ [\d ]*\.\d{3,})$`) // +44.7700900101, 44 7700 900.101
	floatShape   = regexp.MustCompile(`^(\+?\d{7,})\.0{0,2}$`)
	bracketShape = regexp.MustCompile(`\([^()]*\d[^()]*\)`)
	abroadShape  = regexp.MustCompile(`^\(?(?:\+|00)`)
)

// otherShapes matches text that has digits but is not exactly one phone number, such as a range or coordinates.
// checkShape rejects such text.
var otherShapes = regexp.MustCompile(strings.Join([]string{
	`^-\d`, `\d.*[+\n]`, `[-/]$`, // a negative number, two cells
	`\d{10,}[^\d]+\d`, `\d{7,}[^\d]+\d{7,}`, `\.\.`, // a range, an extension
	`(?:\d[^\d/]*){8,}/`, `/\d{1,3}$`, // 447700900/101
	`\d\.\d+ +-?\d+\.\d`, // coordinates
}, "|"))

// otherLocalShapes matches text such as a card number or a post code, which checkShape rejects. It also matches some
// international phone numbers, so checkShape does not use it for text that begins with + or 00.
var otherLocalShapes = regexp.MustCompile(strings.Join([]string{
	`^\d{1,3}\. `, `^\(?[2-689]\)?[^\d]`, `\d[^\d]+\d{12,}$`, // an entry number before the phone number
	`^[1-9]\d{0,2}(?:[ .]\d{3}){2}$`,                              // 1.234.567
	`^\d{3}-\d\d-\d{4}$`, `^\d{5}-\d{4}$`, `^` + year + `-\d{3}$`, // social security numbers, post codes, days
	`^\d{4}[- ]\d{6}[- ]\d{5}$`, `^\d\d-\d\d-\d\d \d{8}$`, // card and account numbers
	`^97[89](?:[- ]?\d){10}$`, // ISBN
}, "|"))

// nationalShape matches phone numbers without a country code, as people in North America and India write them.
// checkShape rejects them, because the country is unknown.
var nationalShape = regexp.MustCompile(`^(?:\d{3}[-. ]|\(\d{3}\) ?)\d{3}[-. ]?\d{4}$|^\d{5}[- ]\d{5}$`)

// withoutFraction removes a fraction of zeros, such as ".0", from a phone number. Spreadsheets add the fraction in
// columns of floating-point numbers. The other digits are right: floating-point numbers are exact up to 15 digits, and
// a phone number has at most 15.
func withoutFraction(cell string) string {
	if float := floatShape.FindStringSubmatch(cell); float != nil {
		return float[1]
	}
	return cell
}

// checkShape returns an error if a cell of a table holds, for example, a date or a national number instead of an
// international phone number. digits are the digits of the cell.
func checkShape(cell, digits string) *cellError {
	cell = asciiForm(cell)
	abroad := abroadShape.MatchString(cell)
	switch {
	case dateShape.MatchString(cell), !strings.HasPrefix(cell, "+") && compactDate.MatchString(digits):
		return errDate
	case isAddress(cell):
		return errAddress
	case decimalShape.MatchString(cell) && !dottedShape.MatchString(cell):
		return errDecimal
	case otherShapes.MatchString(cell), !abroad && otherLocalShapes.MatchString(cell),
		strings.ContainsAny(bracketShape.ReplaceAllString(cell, ""), "()"):
		return errNotNumber
	case trunkShape.MatchString(cell):
		return errTrunk
	case !abroad && nationalShape.MatchString(cell):
		return errNational
	}
	return checkCountryCode(digits)
}

// checkCountryCode returns an error if the number begins with country code 1 or 7 and does not have 11 digits. For
// other country codes it returns an error if a 0 follows the country code, except in zeroCountries. It returns nil for
// short codes, which have no country code, and for digits that begin with 0, which numberOf rejects.
func checkCountryCode(digits string) *cellError {
	if len(digits) < shortestNumber || digits[0] == '0' {
		return nil
	}
	code := digits[:countryCodeLength(digits)]
	switch {
	case code == "1" || code == "7": // North America, Russia, Kazakhstan: 10 digits follow
		if len(digits) < 11 {
			return errNational
		}
		if len(digits) > 11 {
			return errNotNumber
		}
	case digits[len(code)] == '0' && !slices.Contains(zeroCountries(), code):
		return errZero
	}
	return nil
}

// zeroCountries returns the country codes whose numbers keep a leading 0 when dialed from abroad: Italy, Ivory Coast,
// Benin, Gabon, Congo and San Marino.
func zeroCountries() []string { return []string{"39", "225", "229", "241", "242", "378"} }

// countryCodeLength returns the number of digits of the country code at the start of a phone number: 1 to 3, by ITU-T
// E.164. digits must have at least two digits.
func countryCodeLength(digits string) int {
	switch digits[0] {
	case '1', '7':
		return 1
	}
	const two = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 " +
		"66 81 82 84 86 " +
		"90 91 92 93 94 95 98 "
	if strings.Contains(two, " "+digits[:2]+" ") {
		return 2
	}
	return 3
}

// asciiForm replaces every dash, bracket and white space character, such as a no-break space, with its ASCII form. It
// removes invisible characters and keeps line breaks.
func asciiForm(cell string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r':
			return '\n'
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.Is(unicode.Pd, r):
			return '-'
		case unicode.Is(unicode.Ps, r):
			return '('
		case unicode.Is(unicode.Pe, r):
			return ')'
		}
		return r
	}, cell)
}

// isAddress reports whether a cell is an IPv4 address or network, such as 10.0.0.0/8. Phone numbers with dots rarely
// have four groups below 256.
func isAddress(cell string) bool {
	groups := addressShape.FindStringSubmatch(cell)
	if groups == nil {
		return false
	}
	for _, group := range groups[1:] {
		if n, err := strconv.Atoi(group); err != nil || n > 255 {
			return false
		}
	}
	return true
}
