package simulator

import (
	"encoding/json"
	"strings"
)

// defaultValue names the value of a parameter for numbers that have none of their own.
const defaultValue = "default"

// content is what a batch says to everybody, before parameters have their values.
type content struct {
	text     string
	plain    *wording // of a text without parameters: the same for all
	parts    bool     // is counted in parts; binary and media messages are one
	truncate bool
	values   map[string]map[string]string // by key, then by digits or defaultValue
}

// wording is what one number is sent.
type wording struct {
	text      string
	alphabet  alphabet
	parts     int
	unmatched bool // a parameter has no value: it stands as it was
}

// content reads what checked members say.
func (m *members) content() content {
	c := content{parts: *m.Type == typeText, truncate: m.TruncateConcat != nil && *m.TruncateConcat}
	if *m.Type == typeMedia {
		var media struct {
			Message string `json:"message"`
		}
		_ = decode(m.Body, &media) // checked
		c.text = media.Message
	} else {
		_ = json.Unmarshal(m.Body, &c.text) // checked
	}
	c.values = make(map[string]map[string]string, len(m.Parameters))
	for key, values := range m.Parameters {
		c.values[key] = make(map[string]string, len(values))
		for number, value := range values {
			if bare, ok := digits(number); ok {
				number = bare
			}
			c.values[key][number] = value
		}
	}
	if !strings.Contains(c.text, "${") || *m.Type == typeBinary {
		plain := c.word(c.text)
		c.plain = &plain
	}
	return c
}

// to words c for a number.
func (c content) to(number string) wording {
	if c.plain != nil {
		return *c.plain
	}
	text, unmatched := fill(c.text, func(key string) (string, bool) {
		if value, ok := c.values[key][number]; ok {
			return value, true
		}
		value, ok := c.values[key][defaultValue]
		return value, ok
	})
	w := c.word(text)
	w.unmatched = unmatched
	return w
}

func (c content) word(text string) wording {
	w := wording{text: text, alphabet: alphabetOf(text), parts: 1}
	switch {
	case c.parts && c.truncate:
		w.text = w.alphabet.first(text)
	case c.parts:
		w.parts = w.alphabet.parts(text)
	}
	return w
}

// fill puts values in place of each ${key} of text, and says whether one had none. What only begins like one is text.
func fill(text string, value func(key string) (string, bool)) (filled string, unmatched bool) {
	var b strings.Builder
	for {
		before, rest, begins := strings.Cut(text, "${")
		b.WriteString(before)
		if !begins {
			return b.String(), unmatched
		}
		key, after, ends := strings.Cut(rest, "}")
		if !ends || !isParameter(key) {
			b.WriteString("${")
			text = rest
			continue
		}
		said, ok := value(key)
		if !ok {
			said, unmatched = "${"+key+"}", true
		}
		b.WriteString(said)
		text = after
	}
}

// isParameter says whether key may be the key of a parameter.
func isParameter(key string) bool {
	return key != "" && len(key) <= 16 && !strings.ContainsFunc(key, func(r rune) bool { return !isWord(r) && r != '.' })
}

// address finds out what each message of b says, as far as that decides its end or is reported.
func (s *Simulator) address(b *batch) {
	m := &b.members
	c := m.content()
	if c.plain != nil && m.MaxParts == nil && !b.plan.SmartEncoding {
		return
	}
	for i := range b.recipients {
		to := &b.recipients[i]
		w := c.to(to.digits)
		to.unmatched = w.unmatched
		if m.MaxParts != nil {
			to.parts = uint16(w.parts)
			to.tooLong = w.parts > *m.MaxParts
		}
		if b.plan.SmartEncoding && c.parts {
			to.encoding = w.alphabet.report
		}
	}
}
