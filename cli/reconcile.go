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
		Short: "Find the reports that never arrived: compare Sinch's batches with what dlrloop has",
		Long: `Reconcile lists the batches that were created at Sinch since a time (Sinch keeps them for 14 days) and registers each
with a running dlrloop, which then asks Sinch for the reports of those that lack any, as many a second as reconcile.rate
allows. It is for the time after an outage, and for batches that dlrloop never heard of. It may be repeated.

With --wait it watches until dlrloop has asked after all of them, and tells what was found; without, it ends when they are
registered. A message that is still under way lacks its report, too. Entries of Sinch's list that cannot be read are named on
standard error and skipped; the exit code is 1 then. With --json the summary is one JSON document: plan,
since, batches, skipped, lacking and lacking_batches; with --wait also found, still_lacking, still_lacking_batches (their ids), and
not_asked, how many batches dlrloop had not asked after when the wait was over.

` + exitCodes,
		Example: `  dlrloop reconcile --since 48h
  dlrloop reconcile --since 2026-03-01T22:00:00Z --wait 5m
  dlrloop reconcile --since 7d --plan YOUR_SERVICE_PLAN_ID --wait 30m --json`,
		Args: cobra.NoArgs,
	}
	r := remoteFlags(c)
	l := &local{path: r.path}
	c.Flags().StringVar(&l.url, "api", "", apiUsage)
	since := agoFlag(c, "since", "batches created then or later")
	c.Flags().DurationVar(&wait, "wait", 0, "how long to watch for what is found (default not at all)")
	noFiles(c, "api", "wait")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case since.IsZero():
			return usageError{errors.New("--since is needed: how far back is to be looked, such as 48h?")}
		case wait < 0:
			return usageError{errors.New("--wait must not be negative")}
		}
		client, plan, err := r.client()
		if err != nil {
			return err
		}
		l.timeout = r.timeout
		a, loaded, err := l.api()
		if err != nil {
			return err
		}
		if err := reconciles(loaded, plan); err != nil {
			return err
		}
		s := reconciliation{api: a, plan: plan, out: io.Discard, skipped: skipped{out: c.ErrOrStderr()}}
		if !*asJSON {
			s.out = c.OutOrStdout()
		}
		s.told.Plan, s.told.Since = plan, clock(*since)
		if err := s.register(c.Context(), client.Batches(c.Context(), sinch.BatchesQuery{Start: *since})); err != nil {
			return err
		}
		if wait > 0 {
			if err := s.watch(c.Context(), wait); err != nil {
				return err
			}
		}
		if *asJSON {
			err = printJSON(c.OutOrStdout(), s.told)
		} else {
			err = s.told.print(c.OutOrStdout(), *since)
		}
		return errors.Join(err, s.skipped.err())
	}
	return c
}

// reconciles refuses a plan for which the running dlrloop asks nobody, as far as its configuration is there to tell.
func reconciles(c *config.Config, plan string) error {
	if c == nil {
		return nil
	}
	if p, err := choosePlan(c, plan); err == nil && p.Reconcile.Silence == 0 {
		return usageError{fmt.Errorf("plan %s: reconcile.silence is 0s in the configuration, so dlrloop never asks Sinch; set a length of time there", plan)}
	}
	return nil
}

// reconciled sums a reconciliation up. What only watching can tell is nil without it.
type reconciled struct {
	Plan           string `json:"plan"`
	Since          string `json:"since"`
	Batches        int    `json:"batches"`
	Skipped        int    `json:"skipped"` // entries of Sinch's list
	Lacking        int    `json:"lacking"` // messages
	LackingBatches int    `json:"lacking_batches"`

	*watched
}

// watched is what was found while watching.
type watched struct {
	Found        int      `json:"found"`         // messages that have come to a final status since
	StillLacking int      `json:"still_lacking"` // messages
	In           []string `json:"still_lacking_batches"`
	NotAsked     int      `json:"not_asked"` // batches that Sinch was not asked after before the wait was over
}

func (r reconciled) print(w io.Writer, since time.Time) error {
	var d details
	d.add("plan", r.Plan)
	d.add("batches", fmt.Sprintf("%d created since %s", r.Batches, clock(since)))
	if r.Skipped > 0 {
		d.add("skipped", fmt.Sprintf("%d more, which cannot be used", r.Skipped))
	}
	d.add("lacking", messagesOf(r.Lacking, r.LackingBatches))
	if r.watched == nil {
		if r.LackingBatches > 0 {
			d.add("next", "dlrloop asks Sinch after them now; --wait 5m would have watched")
		}
		return d.print(w)
	}
	d.add("found", count(r.watched.Found, "report"))
	d.add("still lacking", messagesOf(r.watched.StillLacking, len(r.watched.In)))
	if len(r.watched.In) > 0 && len(r.watched.In) <= shownEntries {
		d.add("in", strings.Join(r.watched.In, " "))
	}
	if r.watched.NotAsked > 0 {
		d.add("not asked yet", strconv.Itoa(r.watched.NotAsked)+" of these batches; dlrloop goes on by itself")
	}
	return d.print(w)
}

func messagesOf(messages, batches int) string {
	if batches == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s of %s", count(messages, "message"), countBatches(batches))
}
