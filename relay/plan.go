package relay

import (
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
)

// maxRate is the highest rate that CheckPlan accepts, in calls per second. Sinch allows a service plan far fewer calls.
const maxRate = 10_000

// Duration is one setting for CheckDurations to check. Name appears in the error.
type Duration struct {
	Name  string
	Value time.Duration
}

// CheckPlan returns an error that names the first invalid setting of a service plan, or nil. The id must not be empty,
// the client not nil, and the rate from 0 to maxRate calls per second. b must pass its method Check.
func CheckPlan(id string, client *sinch.Client, rate float64, b Backoff) error {
	switch {
	case id == "":
		return errors.New("id: it is empty")
	case client == nil:
		return errors.New("client: it is not set")
	case !(rate >= 0) || rate > maxRate:
		return fmt.Errorf("rate: %g calls per second; use a number from 0 to %g", rate, float64(maxRate))
	}
	var err error
	b.Check(func(member, text string) { err = fmt.Errorf("backoff %s: %s", member, text) })
	return err
}

// CheckDurations returns an error that names the first negative setting, or nil if there is none. Zero is valid.
func CheckDurations(settings ...Duration) error {
	for _, d := range settings {
		if d.Value < 0 {
			return fmt.Errorf("%s: %s is negative", d.Name, d.Value)
		}
	}
	return nil
}
