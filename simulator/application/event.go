package application

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Event is an event of dlrloop, or a callback of Sinch, that the application has accepted. Fields that do not apply to
// its type are zero, except Code, which is then NoCode.
type Event struct {
	ID      string // of a callback: its inbound id, or a hash of its body
	Type    string // for example recipient.status, or recipient_delivery_report_sms
	Plan    string
	Batch   string
	Version int64
	Number  string    // of the recipient, or of the sender of an inbound message
	Status  string    // delivery status of the recipient
	Code    int       // of the status; NoCode if there is none
	Detail  string    // a few words about other types, for example "2 recipients"; no phone numbers
	At      time.Time // of the first acceptance
	Repeats int       // how often it was accepted again

	hash uint64 // of the event's JSON
}

// NoCode is the value of Event.Code if the event has no code. It differs from 0, which is the code of a delivered
// message.
const NoCode = -1

// String returns one line with the type of the event, then its status and code, then the last two digits of the phone
// number. If the event has no status, the line has the detail instead.
func (e Event) String() string {
	about := e.Detail
	if e.Status != "" {
		about = e.Status
		if e.Code != NoCode {
			about = fmt.Sprintf("%s %d", e.Status, e.Code)
		}
	}
	line := fmt.Sprintf("%-20s  %-18s  %s", e.Type, about, xms.Masked(e.Number).LogValue())
	return strings.TrimRight(line, " ")
}

// LogValue returns the event for logs, as String does, with all but the last two digits of the phone number masked.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }
