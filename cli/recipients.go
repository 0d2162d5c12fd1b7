package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/dlrloop/dlrloop/dlr"
)

// parseRecipients reads the numbers of a file as people have them: one a line, a table as spreadsheets write it, or JSON. It returns
// their digits. What it does not understand it names by its line, or in JSON by its entry, and returns no number at all.
func parseRecipients(content []byte) ([]string, error) {
	text, err := decodeText(content)
	if err != nil {
		return nil, err
	}
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return jsonRecipients([]byte(text))
	}
	t, err := parseNumberTable(text)
	if err != nil {
		return nil, err
	}
	return t.recipients()
}

// jsonRecipients reads the body of a feedback call, or its list alone.
func jsonRecipients(text []byte) ([]string, error) {
	var body struct {
		Recipients []json.RawMessage `json:"recipients"`
	}
	var err error
	if text[0] == '[' {
		err = json.Unmarshal(text, &body.Recipients)
	} else {
		err = dlr.UnmarshalExact(text, &body)
	}
	if err != nil {
		return nil, fmt.Errorf(`it is not {"recipients": ["number", …]}: %w`, err)
	}
	numbers := make([]string, len(body.Recipients))
	for i, raw := range body.Recipients {
		var number string
		if json.Unmarshal(raw, &number) != nil {
			number = string(raw) // a number without quotation marks
		}
		if numbers[i], err = numberOf(number); err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
	}
	return numbers, nil
}

var (
	errNotNumber = errors.New("is not a phone number")
	errBlank     = errors.New("has no number")
	errDate      = errors.New("is a date")
	errDecimal   = errors.New("is a decimal number; format the column as text and export it again")
	errTrunk     = errors.New("has (0) in it; write the number without it, as it is dialled from abroad")
	errRounded   = errors.New("was rounded by a spreadsheet, as in 4.47701E+11; format the column as text and export it again")
	errNational  = errors.New("is a national number; write it with its country code")
)

// numberOf returns the digits of a number as people and spreadsheets write it. The error does not contain the number.
func numberOf(cell string) (string, error) {
	cell = strings.TrimFunc(cell, isBlank)
	if inner, found := strings.CutPrefix(cell, `="`); found { // how a spreadsheet is told that digits are text
		cell = strings.TrimSuffix(inner, `"`)
	}
	cell = strings.TrimPrefix(cell, "'")
	if whole, fraction, found := strings.Cut(cell, "."); found && len(whole) > 6 && strings.Trim(fraction, "0") == "" {
		cell = whole // a column of floating-point numbers, which hold this many digits exactly
	}
	digits, ok := dlr.MSISDN(cell)
	switch {
	case cell == "":
		return "", errBlank
	case isRounded(cell):
		return "", errRounded
	case date.MatchString(cell):
		return "", errDate
	case decimal.MatchString(cell):
		return "", errDecimal
	case strings.Contains(cell, "(0)"):
		return "", errTrunk
	case !ok || len(digits) < shortestNumber || isAddress(cell):
		return "", errNotNumber
	case strings.HasPrefix(digits, "0"):
		return "", errNational
	}
	return digits, nil
}

// Forms that dlr.MSISDN would read as digits, and that nobody writes a number in.
var (
	date    = regexp.MustCompile(`^(\d{4}([-./])\d{1,2}([-./])\d{1,2}|\d{1,2}([-./])\d{1,2}([-./])(\d{4}|\d{2}))$`)
	decimal = regexp.MustCompile(`^\+?\d+[.]\d{1,6}$`)
)

// isAddress reports whether a text is an IP address.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// isRounded reports whether a text is a number with an exponent.
func isRounded(text string) bool {
	mantissa, exponent, found := strings.Cut(strings.ToUpper(text), "E")
	return found && mantissa != "" && exponent != "" && strings.Trim(mantissa, "+-0123456789.,") == "" &&
		strings.ContainsAny(mantissa, "0123456789") && strings.Trim(exponent, "+-0123456789") == ""
}

// isBlank reports whether a character is white space or cannot be seen.
func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// checkRecipients returns the digits of numbers that were given as a flag.
func checkRecipients(given []string) ([]string, error) {
	numbers := slices.Clone(given)
	for i, number := range given {
		var err error
		if numbers[i], err = numberOf(number); err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
	}
	return numbers, nil
}
