package copying

import (
	"context"
	"encoding/json"
	"fmt"
)

// The steps in which an export reads a batch, in this order. A position inside a batch includes its step.
const (
	PartRow = iota
	PartRecipients
	PartLog
)

// Section is the part of a position that names a section of an export: 0 batches, 1 minute counts, 2 quarantine, 3
// totals, 4 inbound messages. Every store embeds Section in its own type of positions, which is encoded as JSON.
type Section struct {
	Section int `json:"section"`
}

// In returns the number of the section, so that Export can read it from any type that embeds Section.
func (s Section) In() int { return s.Section }

// Export calls the functions in sections in order. It begins at position, or with the first section if position is
// empty. Each function adds entries to a, from the given P on. start returns the P at which a section begins.
func Export[P interface{ In() int }](
	a *Assembly, position []byte, start func(Section) P, sections [5]func(P) error,
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

// FlushFull calls Flush if the piece is full. next returns the position after the piece, which FlushFull encodes as
// JSON. If the piece is full but ctx has ended, FlushFull returns ctx.Err() and flushes nothing.
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
