package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// eventFilter selects which events a client of GET /api/v1/events receives: those that match all fields. An empty field
// matches every event.
type eventFilter struct {
	plan, batch string
	digits      string            // of a phone number that the event must name
	statuses    []dlr.Status      // only RecipientStatus events with one of these; dlr.Other for undocumented ones
	types       []store.EventType // never empty
}

// eventFilter returns the filter that the query parameters plan, batch, number, status and type describe. A parameter
// that is missing excludes no events. An invalid value is recorded as a fault, which the method err returns.
func (q *query) eventFilter() eventFilter {
	return eventFilter{
		plan: q.text("plan"), batch: q.text("batch"), digits: dlr.Digits(q.text("number")),
		statuses: q.statuses("status"), types: q.eventTypes("type"),
	}
}

// list splits the query parameter of this name at commas and returns the elements. It returns nil if the parameter is
// missing or empty.
func (q *query) list(name string) []string {
	s := q.text(name)
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// statuses returns the query parameter of this name, a comma-separated list of delivery statuses in upper or lower
// case. Each must be a documented status or dlr.Other; anything else is recorded as a fault, which the method err
// returns. The result is nil if the parameter is missing.
func (q *query) statuses(name string) (statuses []dlr.Status) {
	for _, text := range q.list(name) {
		s := dlr.ParseStatus(text)
		if !s.Known() && !strings.EqualFold(string(s), string(dlr.Other)) {
			q.fail(name, "not a documented status", fmt.Sprintf("%s and %s, separated by commas",
				joined(dlr.Statuses()), dlr.Other))
		}
		statuses = append(statuses, s.Label())
	}
	return statuses
}

// eventTypes returns the query parameter of this name, a comma-separated list of event types, or all types if it is
// missing. An unknown type is recorded as a fault, which the method err returns.
func (q *query) eventTypes(name string) (types []store.EventType) {
	all := store.EventTypes()
	for _, text := range q.list(name) {
		t := store.EventType(strings.TrimSpace(text))
		if !slices.Contains(all, t) {
			q.fail(name, "not a type of event", joined(all)+", separated by commas")
		}
		types = append(types, t)
	}
	if types == nil {
		return all
	}
	return types
}

func joined[T ~string](values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}

// selects reports whether the event matches all fields of the filter. It returns false for every event of type
// ReportReceived, since this type has no JSON form, and for an inbound message that was erased.
func (f *eventFilter) selects(e *store.Event) bool {
	return slices.Contains(f.types, e.Type) && !e.Erased() &&
		(f.plan == "" || e.Plan == f.plan) &&
		(f.batch == "" || e.BatchID == f.batch) &&
		(f.statuses == nil ||
			e.Type == store.RecipientStatus && slices.Contains(f.statuses, e.State.Status.Label())) &&
		(f.digits == "" || f.names(e))
}

// names reports whether the event contains the phone number f.digits as a recipient, or as the sender or the receiver
// of an inbound message. It compares only the digits of numbers. f.digits must not be empty.
func (f *eventFilter) names(e *store.Event) bool {
	switch e.Type {
	case store.RecipientStatus:
		return dlr.Digits(e.Number) == f.digits
	case store.FeedbackAccepted, store.FeedbackGivenUp:
		return slices.ContainsFunc(e.Recipients, func(number string) bool { return dlr.Digits(number) == f.digits })
	case store.InboundReceived:
		c, err := dlr.Parse(e.Raw)
		return err == nil && c.Inbound != nil &&
			(dlr.Digits(c.Inbound.From) == f.digits || dlr.Digits(c.Inbound.To) == f.digits)
	}
	return false
}
