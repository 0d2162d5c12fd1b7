package copying

import (
	"context"
	"encoding/json"
	"fmt"
)

// The parts in which an export reads batches, in their order.
const (
	PartRow = iota
	PartRecipients
	PartLog
)

// Section is the section of a position in an export: batches, minute counts, quarantine and totals, in this order. A
// store embeds it in its own type of positions. Their JSON form is stored in the mark of a copy.
type Section struct {
	Section int `json:"section"`
}

// In returns the section.
func (s Section) In() int { return s.Section }

// Export calls the functions in read, which export one section each, in their order. It begins with the section of
// the position from, at that position; an empty from means the beginning. It begins the other sections at the position
// that start returns. read must add all entries to a.
func Export[P interface{ In() int }](
	a *Assembly, from []byte, start func(Section) P, read [4]func(P) error,
) error {
	at := start(Section{})
	if len(from) > 0 {
		if err := json.Unmarshal(from, &at); err != nil {
			return fmt.Errorf("position %.60q: %w", from, err)
		}
	}
	for section := max(at.In(), 0); section < len(read); section++ {
		if section > at.In() {
			at = start(Section{section})
		}
		if err := read[section](at); err != nil {
			return err
		}
	}
	return a.Flush(encode(start(Section{len(read)})))
}

// FlushFull passes the piece to Each if it is full. next returns the position after the piece; it must have a JSON
// form. FlushFull fails if ctx has ended.
func (a *Assembly) FlushFull(ctx context.Context, next func() any) error {
	if !a.Full() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.Flush(encode(next()))
}

func encode(position any) []byte {
	encoded, err := json.Marshal(position)
	if err != nil {
		panic(err) // impossible: all positions have a JSON form
	}
	return encoded
}
