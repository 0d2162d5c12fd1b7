package cli

import (
	"regexp"
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
	dateShape    = regexp.MustCompile(`^(?:` + year + apart + part + apart + part + `|` + part + apart + part + apart + year + `)(?: |$)`)
	compactDate  = regexp.MustCompile(`^(?:` + year + part2 + part2 + `(?:\d{6})?|` + part2 + part2 + year + `)$`)
	addressShape = regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:/\d+)?$`)
	trunkShape   = regexp.MustCompile(`\d[^\d]*\( ?0|^\+?\d{1,3}[-./ ]+0[-./ ]`)
	decimalShape = regexp.MustCompile(`^\+?[\d ]+\.(?:\d{1,2}|\d*)$`)
	dottedShape  = regexp.MustCompile(`^(?:\+\d{1,3}\.\d{4,}|\+?\d+ [\d ]*\.\d{3,})$`) // +44.7700900101, 44 7700 900.101
	floatShape   = regexp.MustCompile(`^(\+?\d{7,})\.0{0,2}$`)
	signShape    = regexp.MustCompile(`^-\d|\d.*[+\n]`)
	pairShape    = regexp.MustCompile(`\d{10,}/`)
)

// withoutFraction takes the zeros from a number of a column of floating-point numbers, which hold this many digits exactly.
func withoutFraction(cell string) string {
	if float := floatShape.FindStringSubmatch(cell); float != nil {
		return float[1]
	}
	return cell
}

// misread says what a cell is that has the digits of a phone number and is something else.
func misread(cell, digits string) *cellError {
	cell = asciiForm(cell)
	switch {
	case signShape.MatchString(cell), pairShape.MatchString(cell) && !isAddress(cell):
		return errNotNumber
	case dateShape.MatchString(cell), !strings.HasPrefix(cell, "+") && compactDate.MatchString(digits):
		return errDate
	case isAddress(cell):
		return errAddress
	case decimalShape.MatchString(cell) && !dottedShape.MatchString(cell):
		return errDecimal
	case trunkShape.MatchString(cell):
		return errTrunk
	}
	return nil
}

// asciiForm writes dashes, brackets and spaces as ASCII has them, and drops what cannot be seen.
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

// isAddress reports whether a cell is an IPv4 address or a network. The groups of a phone number are seldom so small.
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
