package dlr

import (
	"bytes"
	"slices"
)

// wireCallback holds the members of every report type as they came; one that is missing is nil. Of several members with
// one name only the last counts, whatever its value.
type wireCallback struct {
	kind, batchID, clientReference, total, statuses, recipient, code, status, at, operatorAt []byte

	appliedOriginator, encoding, operator, parts []byte
}

func readCallback(object []byte) *wireCallback {
	w := &wireCallback{}
	for name, value := range membersOf(object) {
		if member := w.member(name); member != nil {
			*member = value
		}
	}
	return w
}

// member returns where the member of this name is held; nil for any other name.
func (w *wireCallback) member(name []byte) *[]byte {
	switch string(name) {
	case "type":
		return &w.kind
	case "batch_id":
		return &w.batchID
	case "client_reference":
		return &w.clientReference
	case "total_message_count":
		return &w.total
	case "statuses":
		return &w.statuses
	case "recipient":
		return &w.recipient
	case "code":
		return &w.code
	case "status":
		return &w.status
	case "at":
		return &w.at
	case "operator_status_at":
		return &w.operatorAt
	case "applied_originator":
		return &w.appliedOriginator
	case "encoding":
		return &w.encoding
	case "operator":
		return &w.operator
	case "number_of_message_parts":
		return &w.parts
	}
	return nil
}

// entries returns what the callback says of its recipients, or the reason why it says nothing.
func (w *wireCallback) entries(t Type) ([]Entry, Reason) {
	if t.Recipient() {
		return w.recipientEntry()
	}
	return readEntries(w.statuses, maxRecipients)
}

func (w *wireCallback) recipientEntry() ([]Entry, Reason) {
	recipient := readText(w.recipient)
	if !recipient.isNumber() {
		return nil, NoRecipient
	}
	s := readText(w.status).status()
	if s == "" {
		return nil, NoStatus
	}
	state := State{Status: s, Code: readInteger(w.code).code(), At: readMoment(w.at), OperatorAt: readMoment(w.operatorAt)}
	return []Entry{{State: state, Count: 1, Recipients: []string{string(recipient)}}}, ""
}

// readEntries reads a JSON list of entries that name at most most recipients, or returns the reason why none of them counts.
// It builds no more than it returns: a few megabytes of entries that say nothing must not take a hundred times that.
func readEntries(list []byte, most int) ([]Entry, Reason) {
	if len(list) == 0 || list[0] != '[' {
		return nil, NoStatus
	}
	entries, recipients := []Entry{}, 0
	for _, element := range elements(list) {
		if len(entries) == maxStatuses {
			return nil, TooManyStatuses
		}
		e := readEntry(element, most)
		if e.Status == "" {
			return nil, NoStatus
		}
		if recipients += len(e.Recipients); recipients > most {
			return nil, TooManyRecipients
		}
		entries = append(entries, e)
	}
	return entries, ""
}

// readEntry reads one entry of a batch report. Its Status is empty if element is not an object or has none.
func readEntry(element []byte, most int) Entry {
	if element[0] != '{' {
		return Entry{}
	}
	var code, status, count, recipients []byte
	for name, value := range membersOf(element) {
		switch string(name) {
		case "code":
			code = value
		case "status":
			status = value
		case "count":
			count = value
		case "recipients":
			recipients = value
		}
	}
	s := readText(status).status()
	if s == "" {
		return Entry{}
	}
	numbers := readNumbers(recipients, most)
	return Entry{
		State:      State{Status: s, Code: readInteger(code).code()},
		Count:      max(readInteger(count).or(len(numbers)), 0),
		Recipients: numbers,
	}
}

// readNumbers returns the elements of a JSON list that can be a recipient, and no more than one above most; nil if none
// can, or if list is not a list. Numbers written without escapes are parts of one string: a list of 200 000 takes one
// copy of its text and 16 bytes a number.
func readNumbers(list []byte, most int) []string {
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	var numbers []string
	room := min(bytes.Count(list, []byte{','}), most) + 1
	copied := string(list)
	for at, element := range elements(list) {
		var r text
		if plain, ok := plainText(element); ok {
			r = text(copied[at+1 : at+1+len(plain)])
		} else {
			r = readText(element)
		}
		if !r.isNumber() {
			continue
		}
		if numbers == nil {
			numbers = make([]string, 0, room)
		}
		if numbers = append(numbers, string(r)); len(numbers) > most {
			break
		}
	}
	if cap(numbers) > 2*len(numbers) { // most of the elements were no numbers
		numbers = slices.Clone(numbers)
	}
	return numbers
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
