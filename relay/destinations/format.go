package destinations

import (
	"slices"

	"github.com/dlrloop/dlrloop/store"
)

// Format selects what a destination receives.
type Format string

// The values of Format, as in the configuration key format.
const (
	// FormatEvents sends events as JSON, signed according to Standard Webhooks.
	FormatEvents Format = "events"
	// FormatSinch sends Sinch's callbacks byte for byte, with the headers by which Sinch signed them.
	FormatSinch Format = "sinch"
)

// EventTypes returns the types of the events that a destination of this format can receive, in a new slice.
func (f Format) EventTypes() []store.EventType {
	if f == FormatSinch {
		return []store.EventType{store.ReportReceived, store.InboundReceived, store.CallbackQuarantined}
	}
	return store.EventTypes()
}

// receives reports whether the destination receives the event. A destination of FormatSinch receives no event whose
// callback is not stored: that of an event from before the destination was configured.
func (d *Destination) receives(e *store.Event) bool {
	switch {
	case len(d.Plans) > 0 && !slices.Contains(d.Plans, e.Plan):
		return false
	case d.Format == FormatSinch && len(e.Raw) == 0:
		return false
	}
	return slices.Contains(d.Events, e.Type)
}
