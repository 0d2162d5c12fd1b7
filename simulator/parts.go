package simulator

import (
	"strings"
	"unicode/utf16"
)

// alphabet is how a text is encoded: the places that one part has, and that each has when there are several.
type alphabet struct {
	report string // as recipient reports say it
	dryRun string // as dry runs say it
	single int
	each   int
	places func(rune) int
}

const (
	// gsmBasic is the characters of GSM 03.38 that take one place.
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	// gsmExtension is those that take two: an escape goes before them.
	gsmExtension = `^{}\[~]|€`
)

// alphabetOf is GSM-7 for a text that has no other characters, else UCS-2 for all of it.
func alphabetOf(text string) alphabet {
	if strings.ContainsFunc(text, func(r rune) bool { return gsmPlaces(r) == 0 }) {
		return alphabet{report: "UNICODE", dryRun: "unicode", single: 70, each: 67, places: utf16.RuneLen}
	}
	return alphabet{report: "GSM", dryRun: "text", single: 160, each: 153, places: gsmPlaces}
}

// gsmPlaces is 0 for a character outside GSM-7.
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

// parts is the number of messages that text takes. A character of two places is not split: where only one is left at the
// end of a part it goes to the next.
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

// first is as much of text as one message takes.
func (a alphabet) first(text string) string {
	filled := 0
	for at, r := range text {
		if filled += a.places(r); filled > a.single {
			return text[:at]
		}
	}
	return text
}
