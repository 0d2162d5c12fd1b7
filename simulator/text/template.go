package text

import "strings"

// DefaultValue is used in Values in place of a phone number, as in Values[key][DefaultValue]. The value stored there is
// for all phone numbers that have no value of their own.
const DefaultValue = "default"

// Values holds the values of parameters: in the text for a phone number, Values[key][number] replaces ${key}. Numbers
// are written as digits only. DefaultValue stands for all numbers without a value of their own.
type Values map[string]map[string]string

// Template is the text of a batch before its parameters, such as ${name}, are replaced by values. Create it with New.
// It is safe for concurrent use.
type Template struct {
	text   string
	same   *Rendered // set if the text has no parameters and is the same for all numbers
	limits Limits
	values Values
}

// Limits sets what happens to a text that is too long for one SMS. The zero value divides the text into several SMS
// (parts).
type Limits struct {
	OnePart  bool // the message counts as one part, whatever its length; for binary and media messages
	Truncate bool // a text that is longer than one part is cut; ignored if OnePart is set
}

// Rendered is the final text for one phone number, with its encoding and the number of SMS (parts) that it needs.
type Rendered struct {
	Text      string
	Encoding  Encoding
	Parts     int
	Unmatched bool // a parameter has no value and was left in the text
}

// New returns a Template from a text and the values of its parameters. It keeps values, which the caller must not
// change later. If values is nil, ${key} is ordinary text, as in a binary message.
func New(text string, values Values, limits Limits) Template {
	t := Template{text: text, limits: limits, values: values}
	if !strings.Contains(text, "${") || values == nil {
		same := t.render(text)
		t.same = &same
	}
	return t
}

// SameForAll returns true only if all recipients get the same text. It returns false for a text with parameters, even
// if their values happen to be equal.
func (t Template) SameForAll() bool { return t.same != nil }

// For returns the final text for the recipient with this phone number, which must be given as digits only. A parameter
// without a value stays in the text, and the field Unmatched of the result is then true.
func (t Template) For(number string) Rendered {
	if t.same != nil {
		return *t.same
	}
	filled, unmatched := fill(t.text, func(key string) (string, bool) {
		if value, ok := t.values[key][number]; ok {
			return value, true
		}
		value, ok := t.values[key][DefaultValue]
		return value, ok
	})
	r := t.render(filled)
	r.Unmatched = unmatched
	return r
}

func (t Template) render(text string) Rendered {
	r := Rendered{Text: text, Encoding: encodingOf(text), Parts: 1}
	switch {
	case t.limits.OnePart:
	case t.limits.Truncate:
		r.Text = r.Encoding.firstPart(text)
	default:
		r.Parts = r.Encoding.countParts(text)
	}
	return r
}

// fill replaces each parameter ${key} in text by the string that the function given as value returns for key. If this
// function returns false, ${key} stays in the text and unmatched is true. If key is invalid (see IsKey), ${key} is
// ordinary text.
func fill(text string, value func(key string) (string, bool)) (filled string, unmatched bool) {
	var b strings.Builder
	for {
		before, rest, begins := strings.Cut(text, "${")
		b.WriteString(before)
		if !begins {
			return b.String(), unmatched
		}
		key, after, ends := strings.Cut(rest, "}")
		if !ends || !IsKey(key) {
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

// IsKey reports whether key is a valid parameter name: 1 to 16 ASCII letters, digits, dashes, underscores and dots.
func IsKey(key string) bool {
	return key != "" && len(key) <= 16 && !strings.ContainsFunc(key,
		func(r rune) bool { return !IsWord(r) && r != '.' })
}

// IsWord reports whether r is an ASCII letter, a digit, a dash or an underscore.
func IsWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}
