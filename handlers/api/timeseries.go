package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The limits of one answer to GET /api/v1/timeseries: how many points each series may have, and how long the time range
// may be. A request above a limit is answered 400.
const (
	maxPoints = 10_000 // steps
	maxRange  = 366 * 24 * time.Hour
)

// timeseriesView is the answer to GET /api/v1/timeseries. It divides the time range into intervals of StepSeconds;
// Times holds the start of each. An element of Series holds, for one service plan and one delivery status, the number
// of messages reported in each interval.
type timeseriesView struct {
	From        instant      `json:"from"`
	To          instant      `json:"to"`
	StepSeconds int          `json:"step_seconds"`
	Times       []instant    `json:"times"`
	Series      []seriesView `json:"series"`
}

type seriesView struct {
	Plan     string     `json:"plan"`
	Status   dlr.Status `json:"status"`
	Messages []int      `json:"messages"`
}

// span is the time range of a timeseries, from <= t < to, divided into intervals of length step. Both ends are
// multiples of step, counted from Go's zero time like the result of time.Time.Truncate.
type span struct {
	from, to time.Time
	step     time.Duration
}

func (p *API) timeseries(ctx context.Context, a *request) (any, error) {
	plan, s := a.text("plan"), a.span()
	if err := a.err(); err != nil {
		return nil, err
	}
	counts, err := p.counted(ctx, plan, s)
	if err != nil {
		return nil, err
	}
	v := timeseriesView{
		From: instant{s.from}, To: instant{s.to}, StepSeconds: int(s.step.Seconds()),
		Times: make([]instant, s.points()), Series: counts,
	}
	for i := range v.Times {
		v.Times[i] = instant{s.from.Add(time.Duration(i) * s.step)}
	}
	return v, nil
}

// span returns the query parameters from, to and step, by default the last hour in steps of a minute. It moves both
// ends outwards to multiples of step. A range that is too long or has too many steps is recorded as a fault.
func (q *query) span() span {
	s := span{from: q.time("from"), to: q.time("to"), step: q.wholeMinutes("step", time.Minute)}
	if s.to.IsZero() {
		s.to = store.Now()
		if !s.from.IsZero() && !s.from.Before(s.to) {
			s.to = s.from.Add(time.Hour)
		}
	}
	if s.from.IsZero() {
		s.from = s.to.Add(-time.Hour)
	}
	q.ordered(s.from, s.to)
	if s.to.Sub(s.from) > maxRange {
		q.fail("from", "too far before to", "at most 366 days")
		return s
	}
	s.from = s.from.Truncate(s.step)
	if to := s.to.Truncate(s.step); to.Before(s.to) {
		s.to = to.Add(s.step)
	}
	if s.points() > maxPoints {
		q.fail("step", "too short for the range", fmt.Sprintf("a step that gives at most %d points", maxPoints))
	}
	return s
}

func (s span) points() int { return int(s.to.Sub(s.from) / s.step) }

// counted returns the number of messages in each step of the time range: one series for each service plan and status
// that occurs, sorted by plan and status. An empty plan selects all plans.
func (p *API) counted(ctx context.Context, plan string, s span) ([]seriesView, error) {
	const atOnce = 24 * time.Hour // all minutes of a year might not fit into memory
	type key struct {
		plan   string
		status dlr.Status
	}
	series := make(map[key][]int)
	for from := s.from; from.Before(s.to); from = from.Add(atOnce) {
		to := from.Add(atOnce)
		if to.After(s.to) {
			to = s.to
		}
		minutes, err := p.store.Timeseries(ctx, plan, from, to)
		if err != nil {
			return nil, failed("read the timeseries", err)
		}
		for _, m := range minutes {
			k := key{m.Plan, m.Status}
			if series[k] == nil {
				series[k] = make([]int, s.points())
			}
			series[k][m.Minute.Sub(s.from)/s.step] += m.Messages
		}
	}
	views := make([]seriesView, 0, len(series))
	for k, messages := range series {
		views = append(views, seriesView{k.plan, k.status, messages})
	}
	slices.SortFunc(views, func(a, b seriesView) int {
		return cmp.Or(cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Status, b.Status))
	})
	return views, nil
}
