package cli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errHalfCharacter = errors.New("the UTF-16 text ends in the middle of a character")

// decodeText decodes text from an editor or a spreadsheet: UTF-8 or UTF-16, with or without a byte order mark. Text
// that is neither is decoded as ISO 8859-1. The only error is errHalfCharacter, for UTF-16 with an odd number of bytes.
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

// utf16Order returns the byte order of content if it looks like UTF-16, else nil. It looks at the first two bytes: a
// byte order mark, or an ASCII character with a zero byte.
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
