package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Totals holds the totals of one service plan, from the API's answer to GET /api/v1/stats.
type Totals struct {
	Recipients, Duplicates, Quarantined int
	Messages                            []struct {
		Status   string
		Messages int
	}
	Feedback struct{ Owed, Sent, Dead int }
}

// Of returns the number of messages that were reported with this status.
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

// Store holds the size of dlrloop's store in bytes, from the API's answer to GET /api/v1/stats.
type Store struct {
	SizeBytes int64 `json:"size_bytes"`
	FreeBytes int64 `json:"free_bytes"`
}

// ErrNoReports is returned by Stats if the store has no reports of the service plan.
var ErrNoReports = errors.New("read the totals: the plan has no reports")

// Stats reads the totals of a service plan and the size of the store from the private listener at address, such as
// 127.0.0.1:8081. The results include every report acknowledged before the call. If the service plan has no reports,
// Stats returns ErrNoReports and the size of the store.
func Stats(ctx context.Context, address, plan string) (*Totals, *Store, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/stats", nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // the body has been read
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("read the totals: %s", answer.Status)
	}
	var stats struct {
		Plans []struct {
			Plan string
			Totals
		}
		Store Store
	}
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return nil, nil, fmt.Errorf("read the totals: %w", err)
	}
	for _, p := range stats.Plans {
		if p.Plan == plan {
			return &p.Totals, &stats.Store, nil
		}
	}
	return nil, &stats.Store, ErrNoReports
}
