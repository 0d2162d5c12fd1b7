package batches

import (
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// recipientList holds the messages of a batch, one for each phone number. The numbers come from the batch's JSON field
// "to", a list of phone numbers and group ids.
type recipientList struct {
	recipients []message
	index      map[string]int32 // index into recipients, by digits
	grouped    bool             // to contains a group
}

// expandRecipients returns one message for each phone number in entries, without duplicates. A group id in entries
// stands for the present members of the group; a deleted group has none. Phone numbers must be digits only.
func (p *Plan) expandRecipients(entries []string) recipientList {
	r := recipientList{index: make(map[string]int32, len(entries))}
	for _, entry := range entries {
		if _, ok := xms.Digits(entry); ok {
			r.add(entry)
			continue
		}
		r.grouped = true
		p.Groups.Visit(entry, r.add)
	}
	return r
}

func (r *recipientList) add(number string) {
	if _, twice := r.index[number]; twice {
		return
	}
	r.index[number] = int32(len(r.recipients))
	r.recipients = append(r.recipients, message{digits: number})
}

// copyFeedback copies feedback counts from the list old to r: for each phone number that is in both lists, it copies
// the number of feedback calls that were applied.
func (r *recipientList) copyFeedback(old recipientList) {
	for i := range r.recipients {
		if was, ok := old.index[r.recipients[i].digits]; ok {
			r.recipients[i].applied = old.recipients[was].applied
		}
	}
}
