package simulator

// roster is the messages of a batch: one for each number that its to names, itself or through a group.
type roster struct {
	recipients []message
	index      map[string]int32 // by digits
	grouped    bool             // a group is among to
}

// muster makes the roster of checked to entries as things are now. A group that does not exist is empty.
func (p *plan) muster(to []string) roster {
	r := roster{index: make(map[string]int32, len(to))}
	for _, entry := range to {
		if _, ok := digits(entry); ok {
			r.add(entry)
			continue
		}
		r.grouped = true
		p.groups.visit(entry, map[string]bool{}, r.add)
	}
	return r
}

func (r *roster) add(number string) {
	if _, twice := r.index[number]; twice {
		return
	}
	r.index[number] = int32(len(r.recipients))
	r.recipients = append(r.recipients, message{digits: number})
}

// inherit takes over the feedback that was applied to the same numbers before.
func (r *roster) inherit(before roster) {
	for i := range r.recipients {
		if was, ok := before.index[r.recipients[i].digits]; ok {
			r.recipients[i].applied = before.recipients[was].applied
		}
	}
}
