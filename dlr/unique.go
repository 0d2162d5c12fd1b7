package dlr

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Unique returns a copy of a JSON document without white space between values and without repeated members. Of several
// members of an object with the same name it keeps the last, as UnmarshalExact does. It returns an error if document is
// not valid JSON.
func Unique(document []byte) ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return nil, err
	}
	whole := compact.Bytes()
	repeated := repeatedMembers(whole)
	slices.SortFunc(repeated, func(a, b span) int { return a.from - b.from })
	var once []byte
	at := 0
	for _, s := range repeated {
		if s.from >= at { // otherwise s lies within a removed member
			once = append(once, whole[at:s.from]...)
			at = s.to
		}
	}
	return append(once, whole[at:]...), nil
}

type span struct{ from, to int } // bytes of a document: from <= index < to

// repeatedMembers finds each member of a JSON object that is followed by a member with the same name in the same
// object. It returns the byte ranges of the members that it finds, each including the comma after the member. whole
// must be valid JSON without white space.
func repeatedMembers(whole []byte) (repeated []span) {
	type object struct {
		last map[string]span // by name; nil in a list
		name string          // of the member being read
		from int             // start of that member; 0 between members
	}
	var open []*object
	decoder := json.NewDecoder(bytes.NewReader(whole))
	for {
		from := int(decoder.InputOffset())
		token, err := decoder.Token()
		if err != nil {
			return repeated // the end: document is known to be valid
		}
		delimiter, _ := token.(json.Delim)
		switch delimiter {
		case '{':
			open = append(open, &object{last: make(map[string]span)})
			continue
		case '[':
			open = append(open, &object{})
			continue
		case '}', ']':
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			continue
		}
		o := open[len(open)-1]
		switch {
		case o.last == nil:
		case o.from == 0:
			o.name, o.from = token.(string), from
			if whole[from] == ',' {
				o.from++
			}
		default:
			if earlier, found := o.last[o.name]; found {
				repeated = append(repeated, earlier)
			}
			o.last[o.name] = span{o.from, int(decoder.InputOffset()) + len(",")}
			o.from = 0
		}
	}
}
