package simulator

import (
	"strings"
	"unicode/utf16"
)

// alphabet describes an encoding: its names and how many characters one message holds.
type alphabet struct {
	report string         // name in recipient reports
	dryRun string         // name in dry run answers
	single int            // capacity of a message of one part, in septets or UTF-16 units
	each   int            // capacity of each part if there are several
	places func(rune) int // size of a character in the same unit; 0 if it cannot be encoded
}

const (
	// gsmBasic lists the characters of GSM 03.38 that take one septet.
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	// gsmExtension lists the characters of GSM 03.38 that take two septets: an escape and the character.
	gsmExtension = `^{}\[~]|€`
)

// alphabetOf returns GSM-7 if all characters of text belong to it, else UCS-2.
func alphabetOf(text string) alphabet {
	if strings.ContainsFunc(text, func(r rune) bool { return gsmPlaces(r) == 0 }) {
		return alphabet{report: "UNICODE", dryRun: "unicode", single: 70, each: 67, places: utf16.RuneLen}
	}
	return alphabet{report: "GSM", dryRun: "text", single: 160, each: 153, places: gsmPlaces}
}

// gsmPlaces returns the number of septets of r in GSM-7, or 0 if r does not belong to GSM-7.
func gsmPlaces(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	default:
		return 0
	}
}

// parts returns the number of parts that text needs. A character of two septets is not split: if only one septet is
// left in a part, it goes to the next part.
func (a alphabet) parts(text string) int {
	total, parts, filled := 0, 1, 0
	for _, r := range text {
		n := a.places(r)
		total += n
		if filled+n > a.each {
			parts, filled = parts+1, 0
		}
		filled += n
	}
	if total <= a.single {
		return 1
	}
	return parts
}

// first returns the beginning of text that fits into a single SMS.
func (a alphabet) first(text string) string {
	filled := 0
	for at, r := range text {
		if filled += a.places(r); filled > a.single {
			return text[:at]
		}
	}
	return text
}
