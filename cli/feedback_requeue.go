package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

// requeueRequest is the body of a request to send pending feedback now, and also dead feedback, which dlrloop had given
// up. It names one batch (Plan and BatchID), all batches of a service plan (Plan), or all batches (All).
type requeueRequest struct {
	Plan    string `json:"plan,omitempty"`
	BatchID string `json:"batch_id,omitempty"`
	All     bool   `json:"all,omitempty"`
}

// requeued is the answer to a requeue request: how many batches are now due, and how many of their recipients had dead
// feedback. If More is true, batches are left, and the request must be repeated.
type requeued struct {
	Batches    int  `json:"batches"`
	Recipients int  `json:"recipients"`
	More       bool `json:"more,omitempty"`
}

func feedbackRequeueCommand() *cobra.Command {
	var all bool
	var plan string
	c := &cobra.Command{
		Use:   "requeue ID | --all",
		Short: "Send dead and pending feedback now",
		Long: `Requeue makes a running dlrloop send feedback now: of one batch, or with --all of all batches, or of one plan
with --plan. Dead feedback is pending again. Pending feedback is due now, whatever it waits for. A paused plan
is resumed.

With --json the answer is one JSON document: the number of batches that are due now, and of recipients that
were dead.

` + exitCodes,
		Example: `  dlrloop feedback requeue 01JHFFHQ0P99JPPNQPJDV7JTBP
  dlrloop feedback requeue --all
  dlrloop feedback requeue --all --plan YOUR_SERVICE_PLAN_ID --api http://10.0.0.7:8081`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAPIFlags(c)
	planFlag(c, &plan, flags.path, "service plan `ID` (default for one batch: the only plan of the configuration)")
	c.Flags().BoolVar(&all, "all", false, "all dead and pending feedback")
	c.Flags().BoolVar(&all, "all-dead", false, "the former name of --all")
	_ = c.Flags().MarkHidden("all-dead") // the flag exists
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return usageError{errors.New("name a batch id, or set --all")}
		}
		a, loaded, err := flags.api()
		if err != nil {
			return err
		}
		request := requeueRequest{Plan: plan, All: plan == ""}
		if !all {
			if plan, err = planOf(loaded, plan); err != nil {
				return err
			}
			request = requeueRequest{Plan: plan, BatchID: args[0]}
		}
		total, err := a.requeue(c.Context(), request)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), total)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "due now: %s; requeued: %s\n", count(total.Batches, "batch"),
			count(total.Recipients, "recipient"))
		return err
	}
	return c
}

// planOf returns id, the value of --plan. If id is empty, it returns the id of the only plan in the configuration c, or
// a usageError if c is nil or has several plans.
func planOf(c *config.Config, id string) (string, error) {
	if id != "" {
		return id, nil
	}
	if c == nil {
		return "", usageError{errors.New("--plan is required without a configuration")}
	}
	p, err := choosePlan(c, "")
	return p.ID, err
}

// requeue makes dlrloop send pending and dead feedback now. It repeats the request until the server has processed all
// batches. total is the sum of all answers, even after an error.
func (a *api) requeue(ctx context.Context, request requeueRequest) (total requeued, err error) {
	for {
		var r requeued
		if err := a.post(ctx, "/api/v1/feedback/requeue", request, &r); err != nil {
			return total, err
		}
		total.Batches += r.Batches
		total.Recipients += r.Recipients
		if !r.More {
			return total, nil
		}
	}
}
