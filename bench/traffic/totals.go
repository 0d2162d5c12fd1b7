package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Totals is what dlrloop's API says of a plan.
type Totals struct {
	Recipients, Duplicates, Quarantined int
	Messages                            []struct {
		Status   string
		Messages int
	}
	Feedback struct{ Owed, Sent, Dead int }
}

// Of is how many messages were reported with a status.
func (t *Totals) Of(s Status) int {
	n := 0
	for _, m := range t.Messages {
		if m.Status == s.String() {
			n += m.Messages
		}
	}
	return n
}

// Reported is how many messages were reported, each with every status that it had.
func (t *Totals) Reported() int {
	n := 0
	for _, m := range t.Messages {
		n += m.Messages
	}
	return n
}

// Store is what dlrloop's API says of its store.
type Store struct {
	SizeBytes int64 `json:"size_bytes"`
	FreeBytes int64 `json:"free_bytes"`
}

// ErrNoReports means that the plan has no reports yet.
var ErrNoReports = errors.New("read the totals: no report of the plan is stored")

// Stats reads the totals of a plan and of the store from the private listener at address. They include everything
// acknowledged before.
func Stats(ctx context.Context, address, plan string) (*Totals, *Store, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/stats", nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
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
