package copying

import (
	"context"
	"encoding/json"
	"fmt"
)

// The steps in which an export reads a batch, in this order. The position of an export within a batch is one of them.
const (
	PartRow = iota
	PartRecipients
	PartLog
)

// Section says which section of an export a position belongs to: 0 batches, 1 minute counts, 2 quarantine, 3 totals. A
// store embeds Section in its own type of positions. The mark of a copy stores positions as JSON.
type Section struct {
	Section int `json:"section"`
}

// In returns the number of the section, so that Export can read it from any type that embeds Section.
func (s Section) In() int { return s.Section }

// Export calls the four section functions in order, beginning at position, or at the first section if position is
// empty. Each of them adds the entries of one section, from a position on. start returns where a section begins.
func Export[P interface{ In() int }](
	a *Assembly, position []byte, start func(Section) P, sections [4]func(P) error,
) error {
	at := start(Section{})
	if len(position) > 0 {
		if err := json.Unmarshal(position, &at); err != nil {
			return fmt.Errorf("position %.60q: %w", position, err)
		}
	}
	for section := max(at.In(), 0); section < len(sections); section++ {
		if section > at.In() {
			at = start(Section{section})
		}
		if err := sections[section](at); err != nil {
			return err
		}
	}
	return a.Flush(encode(start(Section{len(sections)})))
}

// FlushFull calls Flush if the piece is full. next returns the position after the piece, a value with a JSON form. If
// the piece is full but ctx has ended, FlushFull returns the error of ctx.
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
