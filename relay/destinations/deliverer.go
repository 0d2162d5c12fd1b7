package destinations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// Store is the part of store.EventLog that a Deliverer needs: the event log, and the progress of each destination. It
// must be safe for concurrent use.
type Store interface {
	Events(ctx context.Context, cursor string, limit int) (store.EventPage, error)
	EventsEnd(ctx context.Context) (string, error)
	EventBacklog(ctx context.Context, cursor string) (store.EventBacklog, error)
	Destinations(ctx context.Context) ([]store.Destination, error)
	SaveDestination(ctx context.Context, name string, c store.DestinationChange) (epoch int64, err error)
	DeferredEvents(
		ctx context.Context, name string, dead bool, p store.Paging,
	) (store.Page[store.DeferredEvent], error)
}

// Deliverer posts the events of a store to the URLs of all configured destinations. Create one with New. Call Prepare
// before the store records anything, for example a callback, and then call Run once.
type Deliverer struct {
	store Store
	log   *slog.Logger
	lanes []*lane
}

// New returns a Deliverer that reads events from the store s and keeps its progress there, counts in m and logs to log.
// It starts no goroutine and does not use the store. If a destination is invalid or its name occurs twice, the error
// names the destination and the field.
func New(c Config, s Store, m *metrics.Metrics, log *slog.Logger) (*Deliverer, error) {
	c.UserAgent = cmp.Or(c.UserAgent, "dlrloop")
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Held == nil {
		c.Held = func(context.Context, time.Time) (bool, error) { return true, nil }
	}
	d := &Deliverer{store: s, log: log}
	memory := int(c.Memory) / max(len(c.Destinations), 1)
	for i, destination := range c.Destinations {
		var faults []error
		destination.Check(func(member, text string) { faults = append(faults, fmt.Errorf("%s: %s", member, text)) })
		if d.configured(destination.Name) {
			faults = append(faults, errors.New("name: it is configured twice"))
		}
		if err := errors.Join(faults...); err != nil {
			return nil, fmt.Errorf("destination %q (number %d): %w", destination.Name, i+1, err)
		}
		if destination = destination.WithDefaults(); memory > 0 {
			destination.limits.bytes = min(destination.limits.bytes, memory/3)
			destination.limits.deferredBytes = min(destination.limits.deferredBytes, memory/3*2)
		}
		l, err := newLane(destination, c, s, m, log.With("destination", destination.Name))
		if err != nil {
			return nil, fmt.Errorf("destination %q (number %d): %w", destination.Name, i+1, err)
		}
		d.lanes = append(d.lanes, l)
	}
	return d, nil
}

func (d *Deliverer) configured(name string) bool {
	return slices.ContainsFunc(d.lanes, func(l *lane) bool { return l.destination.Name == name })
}

// Prepare stores a start position for each new destination, which will receive the events that happen from now on. It
// logs a warning for each destination that is stored but no longer configured: the events of such a destination wait
// until it is configured again or purged. It returns the errors of the store.
func (d *Deliverer) Prepare(ctx context.Context) error {
	stored, err := d.store.Destinations(ctx)
	if err != nil {
		return fmt.Errorf("read the destinations: %w", err)
	}
	for _, l := range d.lanes {
		if !slices.ContainsFunc(stored, func(s store.Destination) bool { return s.Name == l.destination.Name }) {
			if err := create(ctx, d.store, l.destination.Name); err != nil {
				return err
			}
		}
	}
	for _, s := range stored {
		if !d.configured(s.Name) {
			d.warnUnconfigured(ctx, s)
		}
	}
	return nil
}

func (d *Deliverer) warnUnconfigured(ctx context.Context, s store.Destination) {
	attributes := []slog.Attr{
		slog.String("destination", s.Name), slog.Int("deferred", s.Deferred), slog.Int("dead", s.Dead),
	}
	switch backlog, err := d.store.EventBacklog(ctx, s.Cursor); {
	case err != nil:
		attributes = append(attributes, slog.Any("error", err))
	default:
		attributes = append(attributes, slog.Int("waiting", backlog.Events+s.Deferred))
	}
	d.log.LogAttrs(ctx, slog.LevelWarn, "a stored destination is not configured, and its events wait; "+
		"configure it again, or delete it with dlrloop destination purge", attributes...)
}

// create stores a new destination that will receive the events that happen from now on. If the destination exists
// already, create changes nothing and returns nil.
func create(ctx context.Context, s Store, name string) error {
	end, err := s.EventsEnd(ctx)
	if err != nil {
		return fmt.Errorf("create destination %s: %w", name, err)
	}
	_, err = s.SaveDestination(ctx, name, store.DestinationChange{Cursor: end})
	if err != nil && !errors.Is(err, store.ErrConflict) { // another replica was first
		return fmt.Errorf("create destination %s: %w", name, err)
	}
	return nil
}

// Run delivers events until ctx ends. Requests in flight may then finish within Destination.CallGrace; after that they
// are canceled, and their events are delivered after the next start. Run stores the progress and then returns nil. If
// the store is closed, it returns an error that wraps store.ErrClosed.
func (d *Deliverer) Run(ctx context.Context) error {
	lanes, ctx := errgroup.WithContext(ctx)
	lanes.Go(func() error {
		<-ctx.Done()
		return nil
	})
	for _, l := range d.lanes {
		lanes.Go(func() error { return l.run(ctx) })
	}
	return lanes.Wait()
}
