package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func destinationCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "destination",
		Short: "Manage the destinations to which a running dlrloop delivers events",
		Long: `Destination lists the URLs to which a running dlrloop delivers events, and the events that one of them did not
accept. It sends these again, and deletes a destination that is no longer configured. It calls the
private API.

` + exitCodes,
		Example: `  dlrloop destination list
  dlrloop destination events app --dead
  dlrloop destination requeue app`,
	}
	group(c, destinationListCommand(), destinationEventsCommand(), destinationRequeueCommand(), destinationPurgeCommand())
	return c
}

// oneDestination is the argument check of commands for one destination: it accepts exactly one argument, the name.
var oneDestination = exactlyOne("one destination, such as app; dlrloop destination list prints all")

// destinationsPath is the path of the list of destinations in the private API. The operations on one destination have
// paths below it.
const destinationsPath = "/api/v1/destinations"

// destination is a URL to which dlrloop delivers events, as the private API lists it.
type destination struct {
	Name       string    `json:"name"`
	Configured bool      `json:"configured"`
	Waiting    int       `json:"waiting"`   // events to deliver, including the deferred ones
	Oldest     time.Time `json:"oldest_at"` // of the waiting events; zero if there are none
	Deferred   int       `json:"deferred"`  // events to deliver later, for example after a failed attempt
	Dead       int       `json:"dead"`      // events that dlrloop has given up
	PausedAt   time.Time `json:"paused_at"` // zero unless the destination is paused
}

// state returns "not configured" if the destination is no longer in dlrloop's configuration, else "paused" or "active".
func (d destination) state() string {
	switch {
	case !d.Configured:
		return "not configured"
	case !d.PausedAt.IsZero():
		return "paused"
	}
	return "active"
}

func destinationListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the destinations of events",
		Long: `List prints each destination with its state and how many events wait for it, are deferred or are dead. Waiting
are all events that it has not received, also the deferred ones, which it did not accept at first. A
destination is paused after it answered 410 (Gone); requeue resumes it. A destination that is no longer
configured keeps its events until dlrloop destination purge deletes it, or retention deletes the events. With
--json each line is a destination in the format of the API (NDJSON).

` + exitCodes,
		Example: `  dlrloop destination list
  dlrloop destination list --json | jq 'select(.dead > 0)'`,
		Args: cobra.NoArgs,
	}
	flags := addAPIFlags(c)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		return printList(c, items[destination](c.Context(), a, destinationsPath, url.Values{}), 0, *asJSON,
			listing[item[destination]]{
				table: func(w io.Writer) *table {
					return newTable(w, "NAME", "STATE", "WAITING", "OLDEST", "DEFERRED", "DEAD")
				},
				row: func(t *table, i item[destination]) {
					d := i.value
					t.row(d.Name, d.state(), strconv.Itoa(d.Waiting), clock(d.Oldest), strconv.Itoa(d.Deferred), strconv.Itoa(d.Dead))
				},
				none:     "no destinations",
				document: func(w io.Writer, i item[destination]) error { return printRaw(w, i.raw) },
			})
	}
	return c
}

// deferredEvent is an event that a destination has not accepted, as the private API lists it. If the event is deferred,
// dlrloop delivers it again at Due. If it is dead, dlrloop has given it up, and Due is zero.
type deferredEvent struct {
	EventID  string    `json:"event_id"`
	Type     string    `json:"type"`
	Plan     string    `json:"plan"`
	BatchID  string    `json:"batch_id"`
	Since    time.Time `json:"since"`
	Due      time.Time `json:"due"`
	Attempts int       `json:"attempts"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail"`
}

func destinationEventsCommand() *cobra.Command {
	var dead bool
	var limit int
	c := &cobra.Command{
		Use:   "events NAME",
		Short: "List the deferred or dead events of a destination",
		Long: `Events prints the events that the destination did not accept and that dlrloop will deliver again, with the
reason of the last attempt. An event with 0 attempts waits for an earlier one of its batch. With --dead it
prints the events that dlrloop has given up. Other events that wait for their first attempt are only counted,
by dlrloop destination list. With --json each line is an event in the format of the API (NDJSON).

` + exitCodes,
		Example: `  dlrloop destination events app
  dlrloop destination events app --dead --json | jq -r .detail`,
		Args: oneDestination, ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAPIFlags(c)
	c.Flags().BoolVar(&dead, "dead", false, "dead events")
	limitFlag(c, &limit)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = func(c *cobra.Command, args []string) error {
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		query, none := url.Values{"state": {"deferred"}}, "no deferred events"
		if dead {
			query.Set("state", "dead")
			none = "no dead events"
		}
		path := destinationsPath + escaped(args[0], "events")
		return printList(c, items[deferredEvent](c.Context(), a, path, query), limit, *asJSON,
			listing[item[deferredEvent]]{
				table: deferredTable, row: deferredRow, none: none,
				document: func(w io.Writer, i item[deferredEvent]) error { return printRaw(w, i.raw) },
			})
	}
	return c
}

func deferredTable(w io.Writer) *table {
	return newTable(w, "EVENT", "TYPE", "PLAN", "BATCH", "SINCE", "DUE", "ATTEMPTS", "REASON", "DETAIL")
}

func deferredRow(t *table, i item[deferredEvent]) {
	e := i.value
	t.row(e.EventID, e.Type, e.Plan, e.BatchID, clock(e.Since), clock(e.Due), strconv.Itoa(e.Attempts), e.Reason,
		shortened(e.Detail, 80))
}

func destinationRequeueCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "requeue NAME",
		Short: "Deliver the dead and deferred events of a destination now",
		Long: `Requeue makes a running dlrloop deliver the dead and the deferred events of a destination now, whatever they
wait for, and resumes the destination if it is paused. Use it when the application works again. With --json
the answer is one JSON document: the number of events that were dead.

` + exitCodes,
		Example: `  dlrloop destination requeue app`,
		Args:    oneDestination, ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAPIFlags(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		path := destinationsPath + escaped(args[0], "requeue")
		return changeDestination(c, flags, http.MethodPost, path, *asJSON, func(done requeuedEvents) string {
			return "requeued: " + count(done.Events, "dead event") + "; the deferred events are due now, too"
		})
	}
	return c
}

// requeuedEvents is the API's answer to a request to deliver the dead and the deferred events of a destination now.
// Events is the number of dead events, which dlrloop had given up. The deferred events, which dlrloop would have
// delivered later anyway, are not counted.
type requeuedEvents struct {
	Events int `json:"events"`
}

// purgedEvents is the API's answer to a request to delete a destination. It counts the events that the destination will
// never receive: in Waiting those that were still to be delivered, in Dead those that dlrloop had given up.
type purgedEvents struct {
	Waiting int `json:"waiting"`
	Dead    int `json:"dead"`
}

// changeDestination makes an API call that changes a destination, and decodes the answer into a T. If asJSON is true,
// it prints the answer as JSON, otherwise as the line that the function text returns.
func changeDestination[T any](
	c *cobra.Command, flags *apiFlags, method, path string, asJSON bool, text func(T) string,
) error {
	a, _, err := flags.api()
	if err != nil {
		return err
	}
	var done T
	if err := a.call(c.Context(), method, path, "", nil, &done); err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.OutOrStdout(), done)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), text(done))
	return err
}

func destinationPurgeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "purge NAME",
		Short: "Delete a destination that is no longer configured, with its events",
		Long: `Purge deletes what a running dlrloop stores for a destination that is no longer configured. The events that the
destination has not received are then never delivered to it; other destinations and the feed are not affected.
With --json the answer is one JSON document: the number of events that waited, and of dead events.

` + exitCodes,
		Example: `  dlrloop destination purge former-app`,
		Args:    oneDestination, ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAPIFlags(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		path := destinationsPath + escaped(args[0])
		return changeDestination(c, flags, http.MethodDelete, path, *asJSON, func(done purgedEvents) string {
			return fmt.Sprintf("destination %s is deleted; not delivered: %s waiting, %d dead",
				printable(args[0]), count(done.Waiting, "event"), done.Dead)
		})
	}
	return c
}
