package dlr

import "time"

// wireCallback has the members of every report type.
type wireCallback struct {
	Type              text        `json:"type"`
	BatchID           text        `json:"batch_id"`
	ClientReference   text        `json:"client_reference"`
	Total             integer     `json:"total_message_count"`
	Statuses          []wireEntry `json:"statuses"` // nil unless a list came
	Recipient         text        `json:"recipient"`
	Code              integer     `json:"code"`
	Status            text        `json:"status"`
	At                moment      `json:"at"`
	OperatorAt        moment      `json:"operator_status_at"`
	AppliedOriginator text        `json:"applied_originator"`
	Encoding          text        `json:"encoding"`
	Operator          text        `json:"operator"`
	Parts             integer     `json:"number_of_message_parts"`
}

type wireEntry struct {
	Code       integer `json:"code"`
	Status     text    `json:"status"`
	Count      integer `json:"count"`
	Recipients []text  `json:"recipients"`
}

// entries returns what the callback says of its recipients, or the reason why it says nothing.
func (w *wireCallback) entries(t Type) ([]Entry, Reason) {
	if t.Recipient() {
		return w.recipientEntry()
	}
	if w.Statuses == nil {
		return nil, NoStatus
	}
	entries := make([]Entry, 0, len(w.Statuses))
	for _, e := range w.Statuses {
		s := e.Status.status()
		if s == "" {
			return nil, NoStatus
		}
		recipients := numbers(e.Recipients)
		entries = append(entries, Entry{
			State:      State{Status: s, Code: e.Code.code()},
			Count:      max(e.Count.or(len(recipients)), 0),
			Recipients: recipients,
		})
	}
	return entries, ""
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

// numbers returns those of list that can be a recipient; nil if none can.
func numbers(list []text) []string {
	if len(list) == 0 {
		return nil
	}
	found := make([]string, 0, len(list))
	for _, r := range list {
		if r.isNumber() {
			found = append(found, string(r))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
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
