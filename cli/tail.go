package cli

import (
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The special values of tail --after: afterNow begins with the next event, afterOldest with the oldest event that is
// kept. Other values are cursors, which are positions in the feed.
const (
	afterNow    = "now"
	afterOldest = "oldest"
)

// tailFlags holds the values of the flags of dlrloop tail that become parameters of the request to the event feed. An
// event must match all of plan, batch, number, statuses and types that are not empty.
type tailFlags struct {
	plan, batch, number, after string
	statuses, types            []string
	noFollow                   bool
}

func tailCommand() *cobra.Command {
	var f tailFlags
	c := &cobra.Command{
		Use:   "tail",
		Short: "Follow the events of a running dlrloop",
		Long: `Tail prints each event of a running dlrloop as it happens, one a line: a new status of a recipient, a completed
batch, accepted or dead feedback, an inbound message, a callback that could not be parsed. A line has the
time, the status or the type of event, the phone number, the id of the batch or message, the plan, and the
code. Phone numbers are not masked. On a terminal the lines are colored, unless NO_COLOR is set.

Tail begins with the next event. With --after oldest it first prints all events that are kept (events.keep),
with --after CURSOR those after a cursor. If the connection breaks, tail says so on standard error, connects
again, and continues at the same place. It ends with Ctrl-C. With --json each line is a line of the feed
(NDJSON): {"cursor": …, "event": …}.

Exit codes: 0 done, or stopped with Ctrl-C, 1 the command failed, 2 invalid arguments or configuration.`,
		Example: `  dlrloop tail
  dlrloop tail --status Failed,Rejected
  dlrloop tail --after oldest --number +447700900133
  dlrloop tail --json | jq -r .event.data.status`,
		Args: cobra.NoArgs,
	}
	flags := addAPIFlags(c)
	c.Flags().Lookup("timeout").Usage = "how long an answer may take to begin"
	planFlag(c, &f.plan, flags.path, "only this service plan `ID` (default all)")
	c.Flags().StringVar(&f.batch, "batch", "", "only this batch `ID`")
	c.Flags().StringVar(&f.number, "number", "", "only events that name this phone `NUMBER`")
	c.Flags().StringSliceVar(&f.statuses, "status", nil,
		"only recipients with these `STATUSES`, separated by commas; other: all undocumented ones")
	c.Flags().StringSliceVar(&f.types, "type", nil, "only events of these `TYPES`, separated by commas")
	c.Flags().StringVar(&f.after, "after", afterNow, "where to begin: now, oldest, or after this `CURSOR`")
	c.Flags().BoolVar(&f.noFollow, "no-follow", false, "end after the newest event")
	noFiles(c, "batch", "number")
	choices(c, "status", append(texts(dlr.Statuses()), string(dlr.Other))...)
	choices(c, "type", texts(store.EventTypes())...)
	choices(c, "after", afterNow, afterOldest)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.after == "" {
			return usageError{errors.New("--after must be now, oldest or a cursor")}
		}
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		show := tailPrinter{out: out, color: os.Getenv("NO_COLOR") == "" && isTerminal(out)}.print
		if *asJSON {
			show = func(line feedLine) error { return printRaw(out, line.raw) }
		}
		t := &tail{
			feed: newFeed(a, flags.timeout), query: f.query(), follow: !f.noFollow, reconnect: firstReconnect,
			show: show, log: c.ErrOrStderr(),
		}
		return t.run(c.Context())
	}
	return c
}

// query returns the URL query of the first request to the event feed: which events to send, where to begin, and whether
// to end after the newest event.
func (f tailFlags) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"plan": f.plan, "batch": f.batch, "number": f.number,
		"status": strings.Join(f.statuses, ","), "type": strings.Join(f.types, ","),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.after != afterOldest {
		query.Set("after", f.after)
	}
	if f.noFollow {
		query.Set("follow", "false")
	}
	return query
}

func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}
