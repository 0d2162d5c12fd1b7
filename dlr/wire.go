package dlr

import (
	"bytes"
	"slices"
)

// rawReport holds the members of a report of any type as JSON that is not decoded yet. A member that the report lacks
// is nil. Of several members with the same name, it holds the last.
type rawReport struct {
	kind, batchID, clientReference, total, statuses, recipient, code, status, at, operatorAt []byte

	appliedOriginator, encoding, operator, parts []byte
}

func readRawReport(object []byte) *rawReport {
	r := &rawReport{}
	for name, value := range Members(object) {
		if member := r.member(name); member != nil {
			*member = value
		}
	}
	return r
}

// member returns a pointer to the field that holds the JSON member with this name, such as batch_id. It returns nil if
// there is no such field; the member is then ignored.
func (r *rawReport) member(name []byte) *[]byte {
	switch string(name) {
	case "type":
		return &r.kind
	case "batch_id":
		return &r.batchID
	case "client_reference":
		return &r.clientReference
	case "total_message_count":
		return &r.total
	case "statuses":
		return &r.statuses
	case "recipient":
		return &r.recipient
	case "code":
		return &r.code
	case "status":
		return &r.status
	case "at":
		return &r.at
	case "operator_status_at":
		return &r.operatorAt
	case "applied_originator":
		return &r.appliedOriginator
	case "encoding":
		return &r.encoding
	case "operator":
		return &r.operator
	case "number_of_message_parts":
		return &r.parts
	}
	return nil
}

// entries decodes the entries of a report of type t. A recipient report has one entry, and a batch report has a list of
// entries. If the report must be rejected, entries returns the Reason, otherwise an empty Reason.
func (r *rawReport) entries(t Type) ([]Entry, Reason) {
	if t.Recipient() {
		return r.recipientEntry()
	}
	return readEntries(r.statuses, maxRecipients)
}

func (r *rawReport) recipientEntry() ([]Entry, Reason) {
	recipient := readText(r.recipient)
	if !recipient.isNumber() {
		return nil, NoRecipient
	}
	s := readText(r.status).status()
	if s == "" {
		return nil, NoStatus
	}
	state := State{Status: s, Code: readCode(r.code), At: readTime(r.at), OperatorAt: readTime(r.operatorAt)}
	return []Entry{{State: state, Count: 1, Recipients: []string{string(recipient)}}}, ""
}

// readEntries decodes the list of entries in a batch report. It returns a Reason if list is not a JSON list, has more
// than maxStatuses entries or more than limit recipients, or if an entry has no status. It stops at the first of these
// faults, so that a body with millions of entries does not take much memory.
func readEntries(list []byte, limit int) ([]Entry, Reason) {
	if len(list) == 0 || list[0] != '[' {
		return nil, NoStatus
	}
	entries, recipients := []Entry{}, 0
	for _, element := range elements(list) {
		if len(entries) == maxStatuses {
			return nil, TooManyStatuses
		}
		e := readEntry(element, limit)
		if e.Status == "" {
			return nil, NoStatus
		}
		if recipients += len(e.Recipients); recipients > limit {
			return nil, TooManyRecipients
		}
		entries = append(entries, e)
	}
	return entries, ""
}

// readEntry decodes one entry of a batch report. It stops after limit+1 recipients, so that the caller sees whether
// there are too many. If the entry is not an object or has no status, the Status of the result is empty.
func readEntry(element []byte, limit int) Entry {
	if element[0] != '{' {
		return Entry{}
	}
	var code, status, count, recipients []byte
	for name, value := range Members(element) {
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
	numbers := readNumbers(recipients, limit)
	return Entry{
		State:      State{Status: s, Code: readCode(code)},
		Count:      max(readInteger(count, len(numbers)), 0),
		Recipients: numbers,
	}
}

// readNumbers returns the elements of a JSON list that can be phone numbers. It stops after limit+1 of them, so that
// the caller sees whether there are too many. It returns nil if there are none or list is not a JSON list.
func readNumbers(list []byte, limit int) []string {
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	var numbers []string
	room := min(bytes.Count(list, []byte{','}), limit) + 1
	copied := string(list) // shared by the numbers without escapes: each takes only a string header more
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
		if numbers = append(numbers, string(r)); len(numbers) > limit {
			break
		}
	}
	if cap(numbers) > 2*len(numbers) { // most elements were not numbers
		numbers = slices.Clone(numbers)
	}
	return numbers
}

// isNumber reports whether t can identify a recipient: any text of at most 64 bytes that does not consist of separators
// alone.
func (t text) isNumber() bool { return len(t) <= MaxNumber && Digits(string(t)) != "" }

// status parses t as a status of a message. It returns "" if t is empty or longer than 64 bytes (maxStatus).
func (t text) status() Status {
	s := ParseStatus(string(t))
	if len(s) > maxStatus {
		return ""
	}
	return s
}

func readCode(value []byte) int { return max(readInteger(value, NoCode), NoCode) }
