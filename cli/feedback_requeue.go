package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

// requeue is the body of the call; requeued its answer.
type requeue struct {
	Plan    string `json:"plan,omitempty"`
	BatchID string `json:"batch_id,omitempty"`
	All     bool   `json:"all,omitempty"`
}

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
		Short: "Have dlrloop send feedback now that is dead or waits",
		Long: `Requeue asks the private API of a running dlrloop to send feedback now: that of one batch, or with --all everything,
of one plan with --plan. Dead feedback is owed again. Feedback that waits for its next attempt is due now. A plan that
is paused is tried now.
With --json the answer is one JSON document: the batches that are due now, and the recipients that were dead.

` + exitCodes,
		Example: `  dlrloop feedback requeue 01JHFFHQ0P99JPPNQPJDV7JTBP
  dlrloop feedback requeue --all
  dlrloop feedback requeue --all --plan YOUR_SERVICE_PLAN_ID --api http://10.0.0.7:8081`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	l := localFlags(c)
	planFlag(c, &plan, l.path, "service plan `ID`; of one batch: default the only one of the configuration")
	c.Flags().BoolVar(&all, "all", false, "everything that is dead or waits")
	c.Flags().BoolVar(&all, "all-dead", false, "the former name of --all")
	_ = c.Flags().MarkHidden("all-dead") // the flag exists
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return usageError{errors.New("what is to be sent again? give the id of a batch, or --all")}
		}
		a, loaded, err := l.api()
		if err != nil {
			return err
		}
		asked := requeue{Plan: plan, All: plan == ""}
		if !all {
			if plan, err = planOf(loaded, plan); err != nil {
				return err
			}
			asked = requeue{Plan: plan, BatchID: args[0]}
		}
		total, err := a.requeue(c.Context(), asked)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), total)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "due now: %s; owed again: %s\n", countBatches(total.Batches), count(total.Recipients, "recipient"))
		return err
	}
	return c
}

// planOf is the plan that a batch is looked for in: the one named, or the only one of the configuration, if there is one.
func planOf(c *config.Config, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if c == nil {
		return "", usageError{errors.New("--plan is needed: there is no configuration to take it from")}
	}
	p, err := choosePlan(c, "")
	return p.ID, err
}

// requeue goes on until the server has done everything.
func (a *api) requeue(ctx context.Context, asked requeue) (total requeued, err error) {
	for {
		var r requeued
		if err := a.post(ctx, "/api/v1/feedback/requeue", asked, &r); err != nil {
			return total, err
		}
		total.Batches += r.Batches
		total.Recipients += r.Recipients
		if !r.More {
			return total, nil
		}
	}
}

// countBatches is count for a noun with another plural.
func countBatches(n int) string {
	if n == 1 {
		return "1 batch"
	}
	return fmt.Sprintf("%d batches", n)
}
