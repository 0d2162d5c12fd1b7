package api

import (
	"context"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// statsView is the answer to GET /api/v1/stats: totals of each service plan, sizes of the store, and the dlrloop
// processes that share the store.
type statsView struct {
	Plans []planView    `json:"plans"`
	Store storeSizeView `json:"store"`

	// Set only for a store that replicas can share. Leaders maps each leader lease to the id of the replica that
	// holds the lease.
	Replica  string            `json:"replica,omitempty"`
	Replicas []string          `json:"replicas,omitempty"`
	Leaders  map[string]string `json:"leaders,omitzero"`
}

type planView struct {
	Plan        string            `json:"plan"`
	Batches     int               `json:"batches"`
	Recipients  int               `json:"recipients"`
	Duplicates  int               `json:"duplicates"`
	Polled      int               `json:"polled"`
	Quarantined int               `json:"quarantined"`
	Missing     int               `json:"missing"`
	Messages    []statusTotalView `json:"messages"`
	Feedback    tallyView         `json:"feedback"`
}

type statusTotalView struct {
	Status   dlr.Status `json:"status"`
	Class    dlr.Class  `json:"class"`
	Messages int        `json:"messages"`
}

type tallyView struct {
	PendingTasks int     `json:"pending_tasks"`
	DeadTasks    int     `json:"dead_tasks"`
	Owed         int     `json:"owed"`
	Sent         int     `json:"sent"`
	Dead         int     `json:"dead"`
	Dropped      int     `json:"dropped"`
	OldestDue    instant `json:"oldest_due,omitzero"`
}

// storeSizeView holds the sizes of the store, which may be some seconds old. Unfolded counts the recorded reports that
// are durable, but not yet applied to the state of their batches.
type storeSizeView struct {
	SizeBytes         int64 `json:"size_bytes"`
	FreeBytes         int64 `json:"free_bytes"`
	QuarantineEntries int   `json:"quarantine_entries"`
	Unfolded          int   `json:"unfolded"`
}

func (p *API) stats(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	plans, err := p.store.Stats(ctx)
	if err != nil {
		return nil, failed("read the totals", err)
	}
	g := p.store.Gauges()
	return statsView{
		Plans: viewAll(plans, func(s store.PlanStats) planView { return viewPlan(s, g.Plans[s.Plan]) }),
		Store: storeSizeView{
			SizeBytes: g.SizeBytes, FreeBytes: g.FreeBytes,
			QuarantineEntries: g.QuarantineEntries, Unfolded: g.Unfolded,
		},
		Replica: g.Replica, Replicas: g.Replicas, Leaders: g.Leaders,
	}, nil
}

func viewPlan(s store.PlanStats, g store.PlanGauges) planView {
	return planView{
		Plan:        s.Plan,
		Batches:     s.Batches,
		Recipients:  s.Recipients,
		Duplicates:  s.Duplicates,
		Polled:      s.Polled,
		Quarantined: s.Quarantined,
		Missing:     s.Feedback.Missing,
		Messages:    viewAll(s.Messages, func(t store.StatusTotal) statusTotalView { return statusTotalView(t) }),
		Feedback: tallyView{
			PendingTasks: s.Feedback.PendingTasks,
			DeadTasks:    s.Feedback.DeadTasks,
			Owed:         s.Feedback.Owed,
			Sent:         s.Feedback.Sent,
			Dead:         s.Feedback.Dead,
			Dropped:      s.Feedback.Dropped,
			OldestDue:    instant{g.OldestDue},
		},
	}
}

// quarantineView is the JSON of one callback in the quarantine. The callback came from Sinch but could not be parsed;
// Reason says why.
type quarantineView struct {
	Plan       string     `json:"plan"`
	ReceivedAt instant    `json:"received_at"`
	Reason     dlr.Reason `json:"reason"`
	Type       dlr.Type   `json:"type,omitempty"`
	rawBytes
}

func (p *API) quarantine(ctx context.Context, a *request) (any, error) {
	paging := a.paging()
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.Quarantine(ctx, paging)
	if err != nil {
		return nil, failed("list the quarantine", err)
	}
	return viewPage(page, func(e store.QuarantineEntry) quarantineView {
		return quarantineView{e.Plan, instant{e.ReceivedAt}, e.Reason, e.Type, showRaw(e.Raw)}
	}), nil
}
