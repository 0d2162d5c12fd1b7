package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// The values of the query parameter state of GET /api/v1/destinations/{name}/events. With "deferred", the default, the
// answer lists the events that will be sent to the destination again; with "dead", the events that dlrloop has given
// up.
const (
	eventsDeferred = "deferred"
	eventsDead     = "dead"
)

// destinationView is the JSON of one destination, a URL to which dlrloop sends events. Waiting counts the events that
// are neither accepted by the destination nor dead (given up). Oldest is roughly the time of the oldest waiting event;
// zero if no event waits.
type destinationView struct {
	Name       string  `json:"name"`
	Configured bool    `json:"configured"`
	Waiting    int     `json:"waiting"`
	Oldest     instant `json:"oldest_at,omitzero"`
	Deferred   int     `json:"deferred"`
	Dead       int     `json:"dead"`
	PausedAt   instant `json:"paused_at,omitzero"`
}

// destinations answers GET /api/v1/destinations with every destination in the store, including those that are no longer
// configured.
func (p *API) destinations(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	all, err := p.store.Destinations(ctx)
	if err != nil {
		return nil, failed("list destinations", err)
	}
	views := make([]destinationView, 0, len(all))
	for _, d := range all {
		v := destinationView{
			Name: d.Name, Configured: slices.Contains(p.config.Destinations, d.Name),
			Waiting: d.Deferred, Deferred: d.Deferred, Dead: d.Dead, PausedAt: instant{d.PausedAt},
		}
		b, err := p.backlog(ctx, d.Cursor)
		if err != nil {
			return nil, failed("count the events of a destination", err)
		}
		v.Waiting, v.Oldest = v.Waiting+b.Events, instant{b.Oldest}
		if d.Deferred > 0 {
			first, err := p.store.DeferredEvents(ctx, d.Name, false, store.Paging{Limit: 1})
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, failed("read the deferred events of a destination", err)
			}
			for _, e := range first.Items {
				if v.Oldest.IsZero() || e.Event.At.Before(v.Oldest.Time) {
					v.Oldest = instant{e.Event.At}
				}
			}
		}
		views = append(views, v)
	}
	return pageView[destinationView]{Items: views}, nil
}

// backlog counts the events that follow cursor in the event log. Field Oldest of the result is the time of the first of
// these events, or zero if no event follows. If retention has deleted events after cursor, backlog counts the remaining
// events and returns no error.
func (p *API) backlog(ctx context.Context, cursor string) (store.EventBacklog, error) {
	b, err := p.store.EventBacklog(ctx, cursor)
	if gone, ok := errors.AsType[*store.CursorGoneError](err); ok {
		return p.store.EventBacklog(ctx, gone.Oldest)
	}
	return b, err
}

// deferredView is the JSON of an event that a destination did not accept, whether it is deferred or dead (given up).
// Due is when a deferred event is sent again. For a dead event, Due is zero.
type deferredView struct {
	ID       int64                `json:"id"`
	EventID  string               `json:"event_id"`
	Type     store.EventType      `json:"type"`
	Plan     string               `json:"plan"`
	BatchID  string               `json:"batch_id,omitempty"`
	At       instant              `json:"at"`
	Since    instant              `json:"since"`
	Due      instant              `json:"due,omitzero"`
	Attempts int                  `json:"attempts"`
	Reason   store.DeliveryReason `json:"reason"`
	Detail   string               `json:"detail,omitempty"`
}

func viewDeferred(d store.DeferredEvent) deferredView {
	return deferredView{
		ID: d.ID, EventID: d.Event.ID(), Type: d.Event.Type, Plan: d.Event.Plan, BatchID: d.Event.BatchID,
		At: instant{d.Event.At}, Since: instant{d.Since}, Due: instant{d.Due},
		Attempts: d.Attempts, Reason: d.Reason, Detail: d.Detail,
	}
}

func (p *API) destinationEvents(ctx context.Context, a *request) (any, error) {
	dead := a.oneOf("state", eventsDeferred, eventsDead) == eventsDead
	paging := a.paging()
	if err := a.err(); err != nil {
		return nil, err
	}
	name := a.pathParam("name")
	page, err := p.store.DeferredEvents(ctx, name, dead, paging)
	if err != nil {
		return nil, failedDestination("list the events of", name, err)
	}
	return viewPage(page, viewDeferred), nil
}

// requeuedView is the answer to POST /api/v1/destinations/{name}/requeue. Events is how many dead events will be sent
// again.
type requeuedView struct {
	Events int `json:"events"`
}

// requeueDestination answers POST /api/v1/destinations/{name}/requeue. It makes the dead events of the destination
// (those that were given up) due now. It also ends a pause in which dlrloop sends nothing to the destination. A
// destination that is stored but no longer configured is answered 409, an unknown destination 404.
func (p *API) requeueDestination(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	name := a.pathParam("name")
	if err := p.checkConfigured(ctx, name); err != nil {
		return nil, err
	}
	n, err := p.store.RequeueEvents(ctx, name, store.Now())
	if err != nil {
		return nil, failedDestination("requeue the events of", name, err)
	}
	return requeuedView{n}, nil
}

// checkConfigured returns nil if the destination of this name is configured. For a destination that is stored but no
// longer configured it returns a problem with status 409, since dlrloop sends no events to such a destination. For an
// unknown destination it returns a problem with status 404.
func (p *API) checkConfigured(ctx context.Context, name string) error {
	if slices.Contains(p.config.Destinations, name) {
		return nil
	}
	all, err := p.store.Destinations(ctx)
	if err != nil {
		return failed("list destinations", err)
	}
	if !slices.ContainsFunc(all, func(d store.Destination) bool { return d.Name == name }) {
		return failedDestination("requeue the events of", name, store.ErrNotFound)
	}
	return &problem.Problem{Kind: problem.KindConflict, Detail: fmt.Sprintf(
		"destination %s is not configured, so its events are not delivered; configure it again, or purge it", name)}
}

// purgedView is the answer to DELETE /api/v1/destinations/{name}: how many events the destination will never receive.
// Waiting counts those that would still have been sent, and Dead those that had been given up.
type purgedView struct {
	Waiting int `json:"waiting"`
	Dead    int `json:"dead"`
}

// purgeDestination answers DELETE /api/v1/destinations/{name}. It deletes a destination that is no longer configured,
// with the events that the destination has not received. A configured destination is answered 409, an unknown
// destination 404.
func (p *API) purgeDestination(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	name := a.pathParam("name")
	if slices.Contains(p.config.Destinations, name) {
		return nil, &problem.Problem{Kind: problem.KindConflict, Detail: fmt.Sprintf(
			"destination %s is configured; remove it from the configuration of all replicas and restart them first", name)}
	}
	all, err := p.store.Destinations(ctx)
	if err != nil {
		return nil, failed("list destinations", err)
	}
	at := slices.IndexFunc(all, func(d store.Destination) bool { return d.Name == name })
	if at < 0 {
		return nil, failedDestination("delete", name, store.ErrNotFound)
	}
	b, err := p.backlog(ctx, all[at].Cursor)
	if err != nil {
		return nil, failed("count the events of a destination", err)
	}
	if err := p.store.DeleteDestination(ctx, name); err != nil {
		return nil, failedDestination("delete", name, err)
	}
	return purgedView{Waiting: all[at].Deferred + b.Events, Dead: all[at].Dead}, nil
}

// failedDestination converts the error of a store call about one destination into the error to answer. tried describes
// the call, such as "list the events of". For an unknown destination the result is a problem with status 404.
func failedDestination(tried, name string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return problem.NotFound("destination " + name)
	}
	return failed(tried+" destination "+name, err)
}
