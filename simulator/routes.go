package simulator

import (
	"net/http"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// route is one route of the API. handle executes a call and returns the value to answer as JSON, or nil for an empty
// body. If handle returns no error, success is the HTTP status; otherwise the error is an *xms.Error, which has the
// status.
type route struct {
	pattern   string
	operation fault.Operation
	success   int
	handle    func(*call) (any, error)
}

func routes() []route {
	const (
		ok = http.StatusOK

		batches = "/xms/v1/{plan}/batches"
		batch   = batches + "/{batch}"
		report  = batch + "/delivery_report"
		groups  = "/xms/v1/{plan}/groups"
		group   = groups + "/{group}"
	)
	groupID := func(c *call) string { return c.PathValue("group") }
	return []route{
		{"POST " + batches, fault.OpSend, http.StatusCreated, func(c *call) (any, error) {
			return c.plan.batches.Send(c.body)
		}},
		{"POST " + batches + "/dry_run", fault.OpDryRun, ok, func(c *call) (any, error) {
			return c.plan.batches.DryRun(xms.Query(c.Request), c.body)
		}},
		{"GET " + batches, fault.OpList, ok, func(c *call) (any, error) {
			return c.plan.batches.List(xms.Query(c.Request), c.started)
		}},
		{"GET " + batch, fault.OpBatch, ok, func(c *call) (any, error) {
			return c.plan.batches.Get(c.batchID(), c.started)
		}},
		{"POST " + batch, fault.OpUpdate, ok, func(c *call) (any, error) {
			return c.plan.batches.Update(c.batchID(), c.body)
		}},
		{"PUT " + batch, fault.OpReplace, ok, func(c *call) (any, error) {
			return c.plan.batches.Replace(c.batchID(), c.body)
		}},
		{"DELETE " + batch, fault.OpCancel, ok, func(c *call) (any, error) {
			return c.plan.batches.Cancel(c.batchID())
		}},
		{"POST " + batch + "/delivery_feedback", fault.OpFeedback, http.StatusAccepted, applyFeedback},

		{"GET " + report, fault.OpReport, ok, func(c *call) (any, error) {
			return c.plan.batches.BatchReport(c.batchID(), xms.Query(c.Request), c.started)
		}},
		{"GET " + report + "/{recipient}", fault.OpReport, ok, func(c *call) (any, error) {
			return c.plan.batches.RecipientReport(c.batchID(), c.PathValue("recipient"), c.started)
		}},
		{"GET /xms/v1/{plan}/delivery_reports", fault.OpReport, ok, func(c *call) (any, error) {
			return c.plan.batches.Reports(xms.Query(c.Request), c.started)
		}},

		{"POST " + groups, fault.OpGroup, http.StatusCreated, func(c *call) (any, error) {
			return c.plan.groups.Create(c.body)
		}},
		{"GET " + groups, fault.OpGroup, ok, func(c *call) (any, error) {
			return c.plan.groups.List(xms.Query(c.Request))
		}},
		{"GET " + group, fault.OpGroup, ok, func(c *call) (any, error) { return c.plan.groups.Get(groupID(c)) }},
		{"POST " + group, fault.OpGroup, ok, func(c *call) (any, error) {
			return c.plan.groups.Update(groupID(c), c.body)
		}},
		{"PUT " + group, fault.OpGroup, ok, func(c *call) (any, error) {
			return c.plan.groups.Replace(groupID(c), c.body)
		}},
		{"DELETE " + group, fault.OpGroup, ok, func(c *call) (any, error) {
			return c.plan.groups.Delete(groupID(c))
		}},
		{"GET " + group + "/members", fault.OpGroup, ok, func(c *call) (any, error) {
			return c.plan.groups.Members(groupID(c))
		}},
	}
}

// applyFeedback is the handle function of the route for delivery feedback: it counts the feedback for the recipients of
// the batch. On success, it sets c.feedback.Applied, for the history. Its first result is always nil, because the
// answer has no body. An error is an *xms.Error.
func applyFeedback(c *call) (any, error) {
	recipients, err := xms.ReadFeedback(c.body)
	if err != nil {
		return nil, err
	}
	unknown, err := c.plan.batches.Feedback(c.batchID(), recipients, c.started)
	if err != nil {
		return nil, err
	}
	c.feedback.UnknownRecipients, c.feedback.Applied = unknown, true
	return nil, nil
}
