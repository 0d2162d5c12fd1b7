package cli

import (
	"encoding/json"
	"fmt"
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
	if body := strings.TrimSpace(text); strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		return jsonRecipients([]byte(body))
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
		digits, fault := numberOf(number, shortestNumber)
		if fault != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, fault)
		}
		numbers[i] = digits
	}
	return numbers, nil
}

// cellError says why a cell is not a number and what to do about it. It does not contain the cell.
type cellError struct{ reason, advice string }

func (e *cellError) Error() string { return e.reason + "; " + e.advice }

// in says in which column the cell is.
func (e *cellError) in(column int) *cellError {
	return &cellError{fmt.Sprintf("%s in column %d", e.reason, column+1), e.advice}
}

var (
	errNotNumber = &cellError{"is not a phone number", "correct it or take it out"}
	errFirst     = &cellError{`is not a phone number, nor a heading such as "phone"`, errNotNumber.advice}
	errBlank     = &cellError{"has no number", "add it or take the entry out"}
	errShort     = &cellError{errNotNumber.reason, "it has too few digits; " + errNotNumber.advice}
	errDate      = &cellError{"is a date", errNotNumber.advice}
	errDecimal   = &cellError{"is a decimal number", "format the column as text and export it again"}
	errAddress   = &cellError{errNotNumber.reason, "it is an IP address; " + errNotNumber.advice}
	errTrunk     = &cellError{"has (0) in it", "write the number without it, as it is dialled from abroad"}
	errZero      = &cellError{"has a 0 after the country code", errTrunk.advice}
	errRounded   = &cellError{"was rounded by a spreadsheet, as in 4.47701E+11", errDecimal.advice}
	errNational  = &cellError{"is a national number", "write it with + and its country code"}
)

// A file names subscribers. A short code is short enough to be something else, so it is named by a flag.
const (
	shortestNumber    = 7
	shortestShortCode = 5
)

// numberOf returns the digits, at least as many as given, of a number as people and spreadsheets write it.
func numberOf(cell string, least int) (string, *cellError) {
	cell = strings.TrimFunc(cell, isBlank)
	if inner, found := strings.CutPrefix(cell, `="`); found { // how a spreadsheet is told that digits are text
		cell = strings.TrimSuffix(inner, `"`)
	}
	cell = withoutFraction(strings.TrimPrefix(cell, "'"))
	digits, ok := dlr.MSISDN(cell)
	switch {
	case cell == "":
		return "", errBlank
	case isRounded(cell):
		return "", errRounded
	case !ok:
		return "", errNotNumber
	}
	if err := misread(cell, digits); err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(digits, "0"):
		return "", errNational
	case len(digits) < least:
		return "", errShort
	}
	return digits, nil
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
	numbers := make([]string, len(given))
	for i, number := range given {
		digits, fault := numberOf(number, shortestShortCode)
		if fault != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, fault)
		}
		numbers[i] = digits
	}
	return numbers, nil
}
