package text

import (
	"strings"
	"unicode/utf16"
)

// Encoding is the character encoding of an SMS, GSM-7 or UCS-2. It decides how many characters one SMS holds.
type Encoding struct {
	ReportName string // in recipient reports: GSM or UNICODE
	DryRunName string // in the answer to a dry run: text or unicode

	single int            // capacity of a message of one part, in septets or UTF-16 units
	each   int            // capacity of each part if there are several
	size   func(rune) int // size of a character in the same unit; 0 if it cannot be encoded
}

const (
	// gsmBasic lists the characters of GSM 03.38 that take one septet.
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	// gsmExtension lists the characters of GSM 03.38 that take two septets: an escape and the character.
	gsmExtension = `^{}\[~]|€`
)

// encodingOf returns the encoding of an SMS with this text: GSM-7 if GSM-7 has all its characters, else UCS-2.
func encodingOf(text string) Encoding {
	if strings.ContainsFunc(text, func(r rune) bool { return gsmSize(r) == 0 }) {
		return Encoding{ReportName: "UNICODE", DryRunName: "unicode", single: 70, each: 67, size: utf16.RuneLen}
	}
	return Encoding{ReportName: "GSM", DryRunName: "text", single: 160, each: 153, size: gsmSize}
}

// gsmSize returns how many septets (7-bit units) the character r takes in GSM-7, or 0 if GSM-7 does not have it.
func gsmSize(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	default:
		return 0
	}
}

// countParts returns how many SMS (parts) a text needs, at least 1. No character is split between two parts. e must be
// the encoding of the text.
func (e Encoding) countParts(text string) int {
	total, parts, filled := 0, 1, 0
	for _, r := range text {
		n := e.size(r)
		total += n
		if filled+n > e.each {
			parts, filled = parts+1, 0
		}
		filled += n
	}
	if total <= e.single {
		return 1
	}
	return parts
}

// firstPart returns the beginning of a text: as many whole characters as fit into one SMS. e must be the encoding of
// the text.
func (e Encoding) firstPart(text string) string {
	filled := 0
	for at, r := range text {
		if filled += e.size(r); filled > e.single {
			return text[:at]
		}
	}
	return text
}
