package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Totals holds dlrloop's counts of one service plan, such as recipients and sent feedback, from the answer to GET
// /api/v1/stats.
type Totals struct {
	Recipients, Duplicates, Quarantined int
	Messages                            []struct {
		Status   string
		Messages int
	}
	Feedback struct{ Owed, Sent, Dead int }
}

// Of returns the number of messages that were reported with status s, or 0 if there is none.
func (t *Totals) Of(s Status) int {
	n := 0
	for _, m := range t.Messages {
		if m.Status == s.String() {
			n += m.Messages
		}
	}
	return n
}

// Reported returns the sum of the messages over all statuses. A message counts once for each status reported for it.
func (t *Totals) Reported() int {
	n := 0
	for _, m := range t.Messages {
		n += m.Messages
	}
	return n
}

// Store holds the size of dlrloop's store in bytes, from the answer to GET /api/v1/stats. FreeBytes is the part of
// SizeBytes that the store can reuse.
type Store struct {
	SizeBytes int64 `json:"size_bytes"`
	FreeBytes int64 `json:"free_bytes"`
}

// ErrNoReports is returned by Stats if dlrloop's store has no reports of the service plan.
var ErrNoReports = errors.New("read the totals: the plan has no reports")

// Stats reads the totals of a service plan and the size of the store from dlrloop's API at address, such as
// 127.0.0.1:8081. The results include every report acknowledged before the call. If the service plan has no reports,
// Stats returns ErrNoReports and the size of the store.
func Stats(ctx context.Context, address, plan string) (*Totals, *Store, error) {
	var stats struct {
		Plans []struct {
			Plan string
			Totals
		}
		Store Store
	}
	if err := read(ctx, address, "/api/v1/stats", &stats); err != nil {
		return nil, nil, fmt.Errorf("read the totals: %w", err)
	}
	for _, p := range stats.Plans {
		if p.Plan == plan {
			return &p.Totals, &stats.Store, nil
		}
	}
	return nil, &stats.Store, ErrNoReports
}

// Destination counts the events that an application has not received from dlrloop. Waiting events are not delivered
// yet, including those Deferred for another attempt. Dead events were given up.
type Destination struct{ Waiting, Deferred, Dead int }

// DestinationOf asks dlrloop's API at address how many events its destination has not received. A destination is the
// URL of an application to which dlrloop sends events. DestinationOf returns an error unless there is exactly one.
func DestinationOf(ctx context.Context, address string) (d Destination, err error) {
	var page struct{ Items []Destination }
	if err := read(ctx, address, "/api/v1/destinations", &page); err != nil {
		return d, fmt.Errorf("read the destination: %w", err)
	}
	if len(page.Items) != 1 {
		return d, fmt.Errorf("read the destination: there are %d destinations", len(page.Items))
	}
	return page.Items[0], nil
}

// read requests a path of dlrloop's API at address and decodes the JSON answer into the variable that v points to. It
// returns an error if the status is not 200.
func read(ctx context.Context, address, path string, v any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // the body has been read
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(v)
}
