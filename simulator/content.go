package simulator

import (
	"encoding/json"
	"strings"
)

// defaultValue is the parameter key whose value is used for numbers without a value of their own.
const defaultValue = "default"

// content is the text of a batch before parameters are replaced.
type content struct {
	text     string
	plain    *rendered // set if the text has no parameters and is the same for all
	parts    bool      // the text is divided into parts; binary and media messages are one part
	truncate bool
	values   map[string]map[string]string // by key, then by digits or defaultValue
}

// rendered is the text for one number.
type rendered struct {
	text      string
	alphabet  alphabet
	parts     int
	unmatched bool // a parameter has no value and was left in the text
}

// content returns the text and parameters of checked members.
func (m *members) content() content {
	c := content{parts: *m.Type == typeText, truncate: m.TruncateConcat != nil && *m.TruncateConcat}
	if *m.Type == typeMedia {
		var media struct {
			Message string `json:"message"`
		}
		_ = decode(m.Body, &media) // already checked
		c.text = media.Message
	} else {
		_ = json.Unmarshal(m.Body, &c.text) // already checked
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
		plain := c.render(c.text)
		c.plain = &plain
	}
	return c
}

// renderFor returns the text for a number, given as digits.
func (c content) renderFor(number string) rendered {
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
	w := c.render(text)
	w.unmatched = unmatched
	return w
}

func (c content) render(text string) rendered {
	w := rendered{text: text, alphabet: alphabetOf(text), parts: 1}
	switch {
	case c.parts && c.truncate:
		w.text = w.alphabet.first(text)
	case c.parts:
		w.parts = w.alphabet.parts(text)
	}
	return w
}

// fill replaces each ${key} in text by its value. It reports whether a key had no value. Anything that is not a valid
// ${key} stays in the text.
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
		replacement, ok := value(key)
		if !ok {
			replacement, unmatched = "${"+key+"}", true
		}
		b.WriteString(replacement)
		text = after
	}
}

// isParameter reports whether key is a valid parameter key.
func isParameter(key string) bool {
	return key != "" && len(key) <= 16 && !strings.ContainsFunc(key,
		func(r rune) bool { return !isWord(r) && r != '.' })
}

// renderMessages renders the text of each message of b, if its parts, encoding or missing parameters are needed.
func (s *Simulator) renderMessages(b *batch) {
	m := &b.members
	c := m.content()
	if c.plain != nil && m.MaxParts == nil && !b.plan.SmartEncoding {
		return
	}
	for i := range b.recipients {
		to := &b.recipients[i]
		w := c.renderFor(to.digits)
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
