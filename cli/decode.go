package cli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errHalfCharacter = errors.New("it is UTF-16 and ends in the middle of a character")

// decodeText reads a text as editors and spreadsheets save it: in UTF-8 or UTF-16, with or without a byte order mark, or else in ISO
// 8859-1.
func decodeText(content []byte) (string, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if order := utf16Order(content); order != nil {
		if len(content)%2 != 0 {
			return "", errHalfCharacter
		}
		units := make([]uint16, len(content)/2)
		for i := range units {
			units[i] = order.Uint16(content[2*i:])
		}
		return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff"), nil
	}
	if utf8.Valid(content) {
		return string(content), nil
	}
	runes := make([]rune, len(content))
	for i, b := range content {
		runes[i] = rune(b)
	}
	return string(runes), nil
}

// utf16Order is the order of the bytes of a UTF-16 text: by its mark, or because the first character is one of ASCII. It is nil for any
// other text.
func utf16Order(content []byte) binary.ByteOrder {
	switch {
	case len(content) < 2:
		return nil
	case content[0] == 0xff && content[1] == 0xfe, content[0] != 0 && content[1] == 0:
		return binary.LittleEndian
	case content[0] == 0xfe && content[1] == 0xff, content[0] == 0 && content[1] != 0:
		return binary.BigEndian
	}
	return nil
}
