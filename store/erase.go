package store

import "errors"

// ErasedPrefix begins the name that takes the place of an erased phone number. Random letters follow.
const ErasedPrefix = "erased-"

// MinErased is how many digits a phone number must have to be erased, so that no code, count or time in a body is
// mistaken for it.
const MinErased = 7

// ErrNumber means that Store.Erase was called with something else than a phone number of MinErased to 15 digits.
var ErrNumber = errors.New("not a phone number of 7 to 15 digits")

// Erased counts what Store.Erase has changed or deleted.
type Erased struct {
	Recipients      int // recipients that got a name in place of the number, one for each batch
	Reports         int // bodies in the report log that named the number
	InboundMessages int // inbound messages from or to the number, which were deleted
	Quarantined     int // callbacks in the quarantine that contained the number
	Events          int // events in the event log, deferred or dead that contained the number
}

// Erased reports whether the event has lost its callback because Store.Erase deleted the phone number that the callback
// was about. Applications do not receive such an event.
func (e *Event) Erased() bool {
	return (e.Type == InboundReceived || e.Type == ReportReceived) && len(e.Raw) == 0
}
