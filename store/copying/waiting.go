package copying

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dlrloop/dlrloop/store"
)

// ErrWaiting means that a destination of the source has not received all events. A copy has no events, so it would lose
// them.
var ErrWaiting = errors.New("not all events are delivered, and a copy leaves events out")

// CheckDelivered returns ErrWaiting if an event of the source waits for a destination, is deferred or is dead. The
// error names the destinations. A store calls it when it is opened as a Source.
func CheckDelivered(ctx context.Context, source store.EventLog) error {
	all, err := source.Destinations(ctx)
	if err != nil {
		return err
	}
	var waiting []string
	for _, d := range all {
		b, err := source.EventBacklog(ctx, d.Cursor)
		if gone, ok := errors.AsType[*store.CursorGoneError](err); ok {
			b, err = source.EventBacklog(ctx, gone.Oldest)
		}
		if err != nil {
			return err
		}
		if b.Events+d.Deferred+d.Dead > 0 {
			waiting = append(waiting, fmt.Sprintf("%s (%d waiting, %d deferred, %d dead)", d.Name, b.Events, d.Deferred, d.Dead))
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return fmt.Errorf("%w: destination %s", ErrWaiting, strings.Join(waiting, ", "))
}
