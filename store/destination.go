package store

import (
	"context"
	"errors"
	"time"
)

// ErrConflict means that another change of a destination came first: read the destination again.
var ErrConflict = errors.New("the destination was changed meanwhile")

// Destination is the stored progress of one destination: a URL of an application to which dlrloop delivers events.
type Destination struct {
	Name string
	// Cursor is the place in the event log up to which each event is delivered, deferred or dead.
	Cursor string
	// Epoch identifies this state. It rises with each change.
	Epoch int64
	// PausedAt is when the destination answered that it is gone for good; zero while it is not paused.
	PausedAt time.Time
	LastID   int64 // the largest DeferredEvent.ID so far; 0 for none
	Deferred int   // how many events are deferred
	Dead     int   // how many events are dead
}

// DeferredEvent is an event that a destination did not accept. It is retried when it is due, or is dead.
type DeferredEvent struct {
	ID       int64 // assigned by the caller of SaveDestination in rising order; larger than 0
	Event    Event
	Since    time.Time // when the first attempt failed, or when the event became dead without one
	Dead     bool      // given up until an operator requeues it
	Due      time.Time // when to try again; zero for a dead event
	Attempts int       // failed attempts
	Reason   DeliveryReason
	Detail   string // a short excerpt for people, without whole phone numbers or secrets
}

// DestinationChange is a change of a destination that is stored as a whole.
type DestinationChange struct {
	Epoch    int64 // Destination.Epoch of the state that was changed; 0 creates the destination
	Cursor   string
	PausedAt time.Time
	Put      []DeferredEvent // deferred or dead events to add, or to replace by id
	Delete   []int64         // ids of deferred events that were delivered
}

// EventLog is the part of a store that keeps events and the progress of the destinations.
type EventLog interface {
	// Events returns up to limit events after the cursor, oldest first. The empty cursor is the place before the oldest
	// event that is kept. Unlike a read, Events may miss arrivals recorded just before, but never an event that precedes
	// one that it returns in the same batch. It returns fewer events than limit if there are no more or if they have
	// several megabytes. It returns ErrCursor for a malformed cursor and a *CursorGoneError for an outdated one.
	Events(ctx context.Context, cursor string, limit int) (EventPage, error)
	// EventsEnd returns the cursor after the newest event.
	EventsEnd(ctx context.Context) (string, error)
	// EventBacklog counts the events after the cursor, of all types and plans. It returns the errors of Events.
	EventBacklog(ctx context.Context, cursor string) (EventBacklog, error)
	// TrimEvents deletes the events that are older than before and lie before the cursors of all stored destinations.
	// It may keep some that are stored together with newer ones. (DeleteOlder also deletes older events that a
	// destination has not received, and dead events with an earlier Since.)
	TrimEvents(ctx context.Context, before time.Time) error

	// Destinations returns all stored destinations, sorted by name.
	Destinations(ctx context.Context) ([]Destination, error)
	// SaveDestination changes or creates a destination and returns its new epoch. It blocks until the change is
	// durable. It returns ErrConflict, and changes nothing, if Epoch is not that of the stored destination.
	SaveDestination(ctx context.Context, name string, c DestinationChange) (epoch int64, err error)
	// DeferredEvents returns one page of the deferred or, if dead is set, the dead events of a destination, in the
	// order of their ids. It returns ErrNotFound for an unknown destination.
	DeferredEvents(ctx context.Context, name string, dead bool, p Paging) (Page[DeferredEvent], error)
	// RequeueEvents makes all dead events of a destination due at now, with Since now and no attempts, ends its pause,
	// and returns how many events were dead. It returns ErrNotFound for an unknown destination.
	RequeueEvents(ctx context.Context, name string, now time.Time) (int, error)
	// DeleteDestination deletes a destination with its deferred and dead events. It returns ErrNotFound for an unknown
	// destination.
	DeleteDestination(ctx context.Context, name string) error
}

// DeliveryReason says why an attempt to deliver an event to a destination ended as it did.
type DeliveryReason string

// The values of DeliveryReason, which the API shows and the metrics use as labels. DeliveryReasons must list each of
// them.
const (
	DeliveryAccepted    DeliveryReason = "accepted"
	DeliveryRateLimited DeliveryReason = "rate_limited" // 429
	DeliveryServer      DeliveryReason = "server"       // 5xx
	DeliveryRejected    DeliveryReason = "rejected"     // any other 4xx; retried like all of these
	DeliveryRedirected  DeliveryReason = "redirected"   // 3xx: dlrloop does not follow redirects
	DeliveryGone        DeliveryReason = "gone"         // 410: the destination is paused
	DeliveryTimeout     DeliveryReason = "timeout"
	DeliveryNetwork     DeliveryReason = "network"
	DeliveryTLS         DeliveryReason = "tls"      // the certificate could not be verified
	DeliveryCanceled    DeliveryReason = "canceled" // dlrloop stops
	DeliveryGaveUp      DeliveryReason = "gave_up"  // dead: not delivered within give_up
	DeliveryOverflow    DeliveryReason = "overflow" // dead: more events waited than max_pending allows
)

// DeliveryReasons returns all values of DeliveryReason, in a new slice.
func DeliveryReasons() []DeliveryReason {
	return []DeliveryReason{
		DeliveryAccepted, DeliveryRateLimited, DeliveryServer, DeliveryRejected, DeliveryRedirected, DeliveryGone,
		DeliveryTimeout, DeliveryNetwork, DeliveryTLS, DeliveryCanceled, DeliveryGaveUp, DeliveryOverflow,
	}
}
