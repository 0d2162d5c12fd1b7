package dlr

import (
	"fmt"
	"strings"
	"time"
)

// Inbound is a decoded inbound message (MO): a message that a phone sent to a number of a service plan. Sinch sends
// each inbound message to the callback URL of the plan. An inbound message has no batch and no status.
type Inbound struct {
	Type Type   // MOText, MOBinary or MOMedia
	ID   string // opaque, case-sensitive, never empty, at most 255 bytes; unique within a plan
	// From is the phone's number and To the plan's number or short code, both as received but cut after 64 bytes. Either
	// is empty if the body does not have it.
	From, To        string
	Text            string    // the text of an MOText message; empty for other types
	ClientReference string    // of the message that the phone answers; usually empty
	Operator        string    // MCC and MNC; empty if absent
	SentAt          time.Time // when the phone sent the message; zero if absent
	ReceivedAt      time.Time // when Sinch received the message; zero if absent
}

// parseInbound decodes object, the JSON of an inbound message of type t. It returns a *ParseError if the id of the
// message is missing or longer than 255 bytes. Other members that are missing or unreadable become zero values.
func parseInbound(t Type, object []byte) (Callback, error) {
	in := &Inbound{Type: t}
	var body []byte
	for name, value := range Members(object) {
		switch string(name) {
		case "id":
			in.ID = string(readText(value))
		case "from":
			in.From = cutNumber(readText(value))
		case "to":
			in.To = cutNumber(readText(value))
		case "body":
			body = value
		case "client_reference":
			in.ClientReference = readText(value).cut()
		case "operator_id":
			in.Operator = readText(value).cut()
		case "sent_at":
			in.SentAt = readTime(value)
		case "received_at":
			in.ReceivedAt = readTime(value)
		}
	}
	if t == MOText {
		in.Text = string(readText(body))
	}
	switch {
	case len(in.ID) > MaxBatchID:
		return Callback{Type: t}, &ParseError{Reason: NoID, Type: t, Err: errLongID}
	case strings.TrimSpace(in.ID) == "":
		return Callback{Type: t}, &ParseError{Reason: NoID, Type: t}
	}
	return Callback{Type: t, Inbound: in}, nil
}

var errLongID = fmt.Errorf("the id has more than %d bytes", MaxBatchID)

// cutNumber shortens a phone number to at most 64 bytes (MaxNumber), and does not cut a UTF-8 character in two. It
// returns a number of at most 64 bytes unchanged.
func cutNumber(t text) string {
	if len(t) <= MaxNumber {
		return string(t)
	}
	return strings.ToValidUTF8(string(t[:MaxNumber]), "")
}
