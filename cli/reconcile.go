package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/sinch"
)

func reconcileCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "reconcile --since TIME",
		Short: "Fetch missing reports of the batches that Sinch lists",
		Long: `Reconcile lists the batches that Sinch created since a time (Sinch keeps them for 14 days) and registers each
with a running dlrloop. dlrloop then fetches the missing reports from Sinch, at most reconcile.rate per
second. Use it after an outage, and for batches that dlrloop has never seen. It may be repeated.

Without --wait it ends when the batches are registered. With --wait it waits until dlrloop has fetched the
reports of all batches, and prints the result. A message that is still being delivered also counts as missing
its report. Entries of Sinch's list that cannot be read are reported on standard error and skipped; the exit
code is then 1.

With --json the summary is one JSON document: plan, since, batches, skipped, missing (messages without a final
report) and missing_batches. With --wait also found, still_missing, still_missing_batches (their ids), and
not_fetched (batches whose reports were not fetched before the wait ended).

` + exitCodes,
		Example: `  dlrloop reconcile --since 48h
  dlrloop reconcile --since 2026-03-01T22:00:00Z --wait 5m
  dlrloop reconcile --since 7d --plan YOUR_SERVICE_PLAN_ID --wait 30m --json`,
		Args: cobra.NoArgs,
	}
	flags := addSinchFlags(c)
	f := &apiFlags{path: flags.path}
	c.Flags().StringVar(&f.url, "api", "", apiUsage)
	since := pastFlag(c, "since", "batches created at or after")
	c.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the missing reports (default: do not wait)")
	noFiles(c, "api", "wait")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case since.IsZero():
			return usageError{errors.New("--since is required: how far back to look, for example --since 48h")}
		case wait < 0:
			return usageError{errors.New("--wait must not be negative")}
		}
		client, plan, err := flags.client()
		if err != nil {
			return err
		}
		f.timeout = flags.timeout
		a, loaded, err := f.api()
		if err != nil {
			return err
		}
		if err := checkReconciles(loaded, plan); err != nil {
			return err
		}
		s := reconciliation{api: a, plan: plan, out: io.Discard, skipped: skipped{out: c.ErrOrStderr()}}
		if !*asJSON {
			s.out = c.OutOrStdout()
		}
		s.summary.Plan, s.summary.Since = plan, clock(*since)
		if err := s.register(c.Context(), client.Batches(c.Context(), sinch.BatchesQuery{Start: *since})); err != nil {
			return err
		}
		if wait > 0 {
			if err := s.wait(c.Context(), wait); err != nil {
				return err
			}
		}
		if *asJSON {
			err = printJSON(c.OutOrStdout(), s.summary)
		} else {
			err = s.summary.print(c.OutOrStdout(), *since)
		}
		return errors.Join(err, s.skipped.err())
	}
	return c
}

// checkReconciles returns a usageError if the configuration disables fetching missing reports for the service plan with
// this id. It returns nil if c is nil.
func checkReconciles(c *config.Config, plan string) error {
	if c == nil {
		return nil
	}
	if p, err := choosePlan(c, plan); err == nil && p.Reconcile.Silence == 0 {
		return usageError{fmt.Errorf("plan %s: reconcile.silence is 0s in the configuration, so dlrloop fetches no reports; "+
			"set a duration", plan)}
	}
	return nil
}

// reconcileResult is the JSON that dlrloop reconcile --json prints. waitResult is nil without --wait.
type reconcileResult struct {
	Plan           string `json:"plan"`
	Since          string `json:"since"`
	Batches        int    `json:"batches"`
	Skipped        int    `json:"skipped"` // entries of Sinch's list that cannot be used
	Missing        int    `json:"missing"` // messages without a final report
	MissingBatches int    `json:"missing_batches"`

	*waitResult
}

// waitResult is the part of the JSON of dlrloop reconcile that is known only after waiting for the reports, with the
// flag --wait.
type waitResult struct {
	Found               int      `json:"found"`         // messages that reached a final status since registration
	StillMissing        int      `json:"still_missing"` // messages without a final report
	StillMissingBatches []string `json:"still_missing_batches"`
	NotFetched          int      `json:"not_fetched"` // batches whose reports were not fetched in time
}

func (r reconcileResult) print(w io.Writer, since time.Time) error {
	var d details
	d.add("plan", r.Plan)
	d.add("batches", fmt.Sprintf("%d created since %s", r.Batches, clock(since)))
	if r.Skipped > 0 {
		d.add("skipped", fmt.Sprintf("%d more that cannot be used", r.Skipped))
	}
	d.add("missing", messagesOf(r.Missing, r.MissingBatches))
	if r.waitResult == nil {
		if r.MissingBatches > 0 {
			d.add("next", "dlrloop fetches these reports now; add --wait 5m to wait for them")
		}
		return d.print(w)
	}
	d.add("found", count(r.waitResult.Found, "report"))
	d.add("still missing", messagesOf(r.waitResult.StillMissing, len(r.waitResult.StillMissingBatches)))
	if len(r.waitResult.StillMissingBatches) > 0 && len(r.waitResult.StillMissingBatches) <= shownEntries {
		d.add("in", strings.Join(r.waitResult.StillMissingBatches, " "))
	}
	if r.waitResult.NotFetched > 0 {
		d.add(
			"not fetched yet",
			strconv.Itoa(r.waitResult.NotFetched)+" of these batches; dlrloop continues in the background",
		)
	}
	return d.print(w)
}

func messagesOf(messages, batches int) string {
	if batches == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s of %s", count(messages, "message"), count(batches, "batch"))
}
