package destinations

import (
	"slices"

	"github.com/dlrloop/dlrloop/store"
)

// Format selects the body of the requests to a destination: events as JSON, or the callbacks of Sinch as received. The
// empty value means FormatEvents.
type Format string

// These are the valid values of Format. The configuration key format has the same values.
const (
	// FormatEvents sends events as JSON, signed according to Standard Webhooks.
	FormatEvents Format = "events"
	// FormatSinch sends Sinch's callbacks byte for byte, with the headers by which Sinch signed them.
	FormatSinch Format = "sinch"
)

// EventTypes returns the types of events that a destination of this format can receive, in a new slice.
func (f Format) EventTypes() []store.EventType {
	if f == FormatSinch {
		return []store.EventType{store.ReportReceived, store.InboundReceived, store.CallbackQuarantined}
	}
	return store.EventTypes()
}

// receives reports whether the destination is configured to receive the event: its plan, its type and, for FormatSinch,
// whether the body of the callback is stored with the event. That body is missing if the event happened before any
// destination of FormatSinch was configured. No destination receives an event that was erased.
func (d *Destination) receives(e *store.Event) bool {
	switch {
	case e.Erased():
		return false
	case len(d.Plans) > 0 && !slices.Contains(d.Plans, e.Plan):
		return false
	case d.Format == FormatSinch && len(e.Raw) == 0:
		return false
	}
	return slices.Contains(d.Events, e.Type)
}
