package dlr

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// wireCallback has the members of every report type.
type wireCallback struct {
	Type              text      `json:"type"`
	BatchID           text      `json:"batch_id"`
	ClientReference   text      `json:"client_reference"`
	Total             integer   `json:"total_message_count"`
	Statuses          entryList `json:"statuses"`
	Recipient         text      `json:"recipient"`
	Code              integer   `json:"code"`
	Status            text      `json:"status"`
	At                moment    `json:"at"`
	OperatorAt        moment    `json:"operator_status_at"`
	AppliedOriginator text      `json:"applied_originator"`
	Encoding          text      `json:"encoding"`
	Operator          text      `json:"operator"`
	Parts             integer   `json:"number_of_message_parts"`
}

type wireEntry struct {
	Code       integer `json:"code"`
	Status     text    `json:"status"`
	Count      integer `json:"count"`
	Recipients numbers `json:"recipients"`
}

// entries returns what the callback says of its recipients, or the reason why it says nothing.
func (w *wireCallback) entries(t Type) ([]Entry, Reason) {
	if t.Recipient() {
		return w.recipientEntry()
	}
	if w.Statuses.entries == nil && w.Statuses.fault == "" {
		return nil, NoStatus
	}
	return w.Statuses.entries, w.Statuses.fault
}

func (w *wireCallback) recipientEntry() ([]Entry, Reason) {
	if !w.Recipient.isNumber() {
		return nil, NoRecipient
	}
	s := w.Status.status()
	if s == "" {
		return nil, NoStatus
	}
	state := State{Status: s, Code: w.Code.code(), At: time.Time(w.At), OperatorAt: time.Time(w.OperatorAt)}
	return []Entry{{State: state, Count: 1, Recipients: []string{string(w.Recipient)}}}, ""
}

// entryList is a JSON list of entries, or the reason why none of them counts; anything else reads as not set. It builds
// no more than it returns: a few megabytes of entries that say nothing must not take a hundred times that.
type entryList struct {
	entries []Entry // nil unless a list came
	fault   Reason
}

func (l *entryList) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return nil
	}
	*l = entryList{entries: []Entry{}}
	recipients := 0
	for _, element := range elements(b) {
		if len(l.entries) == maxStatuses {
			*l = entryList{fault: TooManyStatuses}
			return nil
		}
		var w wireEntry
		_ = json.Unmarshal(element, &w) // what is no object has no status
		s := w.Status.status()
		if s == "" {
			*l = entryList{fault: NoStatus}
			return nil
		}
		if recipients += len(w.Recipients); recipients > maxRecipients {
			*l = entryList{fault: TooManyRecipients}
			return nil
		}
		l.entries = append(l.entries, Entry{
			State:      State{Status: s, Code: w.Code.code()},
			Count:      max(w.Count.or(len(w.Recipients)), 0),
			Recipients: w.Recipients,
		})
	}
	return nil
}

// numbers are those of a JSON list that can be a recipient; nil if none can, and no more than one above maxRecipients.
// Anything else reads as not set. Numbers written without escapes are parts of one string: a list of 200 000 takes one
// copy of its text and 16 bytes a number.
type numbers []string

func (n *numbers) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return nil
	}
	*n = nil
	most := min(bytes.Count(b, []byte{','}), maxRecipients) + 1
	list := string(b)
	for at, element := range elements(b) {
		var r text
		if plain, ok := plainText(element); ok {
			r = text(list[at+1 : at+1+len(plain)])
		} else {
			_ = r.UnmarshalJSON(element)
		}
		if !r.isNumber() {
			continue
		}
		if *n == nil {
			*n = make(numbers, 0, most)
		}
		if *n = append(*n, string(r)); len(*n) > maxRecipients {
			break
		}
	}
	if cap(*n) > 2*len(*n) { // most of the elements were no numbers
		*n = slices.Clone(*n)
	}
	return nil
}

func (t text) isNumber() bool { return len(t) <= maxNumber && Digits(string(t)) != "" }

// status returns "" for what cannot be a status.
func (t text) status() Status {
	s := ParseStatus(string(t))
	if len(s) > maxStatus {
		return ""
	}
	return s
}

func (i integer) code() int { return max(i.or(NoCode), NoCode) }
