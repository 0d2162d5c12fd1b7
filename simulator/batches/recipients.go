package batches

import (
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// recipientList holds the messages of a batch: one for each number in to, named directly or through a group.
type recipientList struct {
	recipients []message
	index      map[string]int32 // index into recipients, by digits
	grouped    bool             // to contains a group
}

// expandRecipients returns the recipients of checked to entries, with the present members of groups. A group that no
// longer exists has no members.
func (p *Plan) expandRecipients(to []string) recipientList {
	r := recipientList{index: make(map[string]int32, len(to))}
	for _, entry := range to {
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

// copyFeedback copies the counts of applied feedback from before to the same numbers in r.
func (r *recipientList) copyFeedback(before recipientList) {
	for i := range r.recipients {
		if was, ok := before.index[r.recipients[i].digits]; ok {
			r.recipients[i].applied = before.recipients[was].applied
		}
	}
}
