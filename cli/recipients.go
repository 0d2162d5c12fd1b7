package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/dlrloop/dlrloop/dlr"
)

// parseRecipients returns the digits of the phone numbers in a file: one number a line, a table in CSV, or JSON. If one
// entry is not a phone number, it returns only an error with the entry's position.
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

// jsonRecipients returns the digits of the phone numbers in JSON: a list, or an object with a list named recipients, as
// in a feedback call to Sinch. An error names the position of the first invalid entry.
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

// cellError says why an entry is not a phone number, and what the user can do. It does not quote the entry, because
// errors never contain phone numbers.
type cellError struct{ reason, advice string }

func (e *cellError) Error() string { return e.reason + "; " + e.advice }

// in returns a copy of the error whose text names the column of the entry. The argument is the index of the column; the
// text counts columns from 1.
func (e *cellError) in(column int) *cellError {
	return &cellError{fmt.Sprintf("%s in column %d", e.reason, column+1), e.advice}
}

var (
	errNotNumber = &cellError{"is not a phone number", "correct or remove it"}
	errFirst     = &cellError{`is not a phone number, nor a heading such as "phone"`, errNotNumber.advice}
	errBlank     = &cellError{"has no number", "add it or remove the entry"}
	errShort     = &cellError{errNotNumber.reason, "it has too few digits; " + errNotNumber.advice}
	errDate      = &cellError{"is a date", errNotNumber.advice}
	errDecimal   = &cellError{"is a decimal number", "format the column as text and export it again"}
	errAddress   = &cellError{errNotNumber.reason, "it is an IP address; " + errNotNumber.advice}
	errTrunk     = &cellError{"has (0) in it", "remove the 0, as when dialing from abroad"}
	errZero      = &cellError{"has a 0 after the country code", errTrunk.advice}
	errRounded   = &cellError{"was rounded by a spreadsheet, as in 4.47701E+11", errDecimal.advice}
	errNational  = &cellError{"is a national number", "write it with + and its country code"}
)

// The minimum number of digits of a phone number: shortestNumber in a file, shortestShortCode in a flag. Only a flag
// accepts short codes, because fewer than 7 digits in a file are probably not a phone number.
const (
	shortestNumber    = 7
	shortestShortCode = 5
)

// numberOf returns the digits of a phone number as people or spreadsheets write it. It returns an error for other text,
// for a national number, and for fewer than minDigits digits.
func numberOf(cell string, minDigits int) (string, *cellError) {
	cell = strings.TrimFunc(cell, isBlank)
	if inner, found := strings.CutPrefix(cell, `="`); found { // ="…" makes a spreadsheet treat digits as text
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
	if err := checkShape(cell, digits); err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(digits, "0"):
		return "", errNational
	case len(digits) < minDigits:
		return "", errShort
	}
	return digits, nil
}

// isRounded reports whether a text is a number with an exponent, such as 4.47701E+11. A spreadsheet that writes a phone
// number with an exponent has rounded it.
func isRounded(text string) bool {
	mantissa, exponent, found := strings.Cut(strings.ToUpper(text), "E")
	return found && mantissa != "" && exponent != "" && strings.Trim(mantissa, "+-0123456789.,") == "" &&
		strings.ContainsAny(mantissa, "0123456789") && strings.Trim(exponent, "+-0123456789") == ""
}

// isBlank reports whether a character is white space or invisible.
func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// checkRecipients returns the digits of phone numbers given as values of a flag. An error names the position of the
// first invalid number. It accepts short codes.
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
