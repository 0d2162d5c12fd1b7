package cli

import (
	"errors"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/sinch"
)

func batchListCommand() *cobra.Command {
	var q sinch.BatchesQuery
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List batches, the newest first",
		Long: `List prints the batches that were created since a time (default: 24 hours ago). Sinch keeps batches for 14
days. With --json each line is a batch in Sinch's format (NDJSON), printed page by page. Entries that cannot
be read are reported on standard error and skipped; the exit code is then 1.

` + exitCodes,
		Example: `  dlrloop batch list --since 7d --limit 20
  dlrloop batch list --client-reference parcel/8a02
  dlrloop batch list --since 2026-03-01 --until 2026-03-02 --from Acme --json | jq -r .id`,
		Args: cobra.NoArgs,
	}
	flags := addSinchFlags(c)
	since := pastFlag(c, "since", "created at or after (default 24h)")
	until := pastFlag(c, "until", "created before")
	c.Flags().StringSliceVar(&q.From, "from", nil, "only these `SENDERS`, separated by commas; repeatable")
	c.Flags().StringVar(&q.ClientReference, "client-reference", "", "only this exact `NAME`")
	noFiles(c, "from", "client-reference")
	limitFlag(c, &limit)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = flags.run(func(c *cobra.Command, _ []string, client *sinch.Client) error {
		q.Start, q.End, q.PageSize = *since, *until, pageSize(limit)
		return printList(c, client.Batches(c.Context(), q), limit, *asJSON, listing[*sinch.Batch]{
			table: batchTable, row: batchRow, none: "no batches in this period",
			document: func(w io.Writer, b *sinch.Batch) error { return printJSON(w, b) },
		})
	})
	return c
}

// limitFlag adds --limit, the maximum number of entries to print. Parsing stores the number in *limit. The default, 0,
// means all entries.
func limitFlag(c *cobra.Command, limit *int) {
	c.Flags().IntVar(limit, "limit", 0, "at most `N` entries (default all)")
}

// pageSize returns the page size of a list that is requested from Sinch; limit is the value of --limit. A limit of 1 to
// 99 is also the page size. For any other limit, pageSize returns 0, which means Sinch's maximum of 100.
func pageSize(limit int) int {
	if limit > 0 && limit < 100 {
		return limit
	}
	return 0
}

// listing tells printList how to print entries of type T. The functions table and row are for output as a table: table
// returns an empty table, and row adds an entry. The function document is for --json: it writes an entry as JSON.
type listing[T any] struct {
	table    func(io.Writer) *table
	row      func(*table, T)
	none     string                   // printed instead of an empty table
	document func(io.Writer, T) error // writes an entry as JSON
}

// printList prints at most limit entries, or all if limit is 0, as a table or as JSON. If reading fails, it still
// prints the entries read so far and returns the error. It skips an entry that cannot be decoded, prints the reason on
// standard error, and returns an error at the end.
func printList[T any](c *cobra.Command, entries iter.Seq2[T, error], limit int, asJSON bool, l listing[T]) error {
	if limit < 0 {
		return usageError{errors.New("--limit must not be negative")}
	}
	w := c.OutOrStdout()
	t, seen, skipped := l.table(w), 0, skipped{out: c.ErrOrStderr()}
	var failed error
	for entry, err := range entries {
		if skipped.take(err) {
			continue
		}
		if err != nil {
			failed = advise(flagError(err))
			break
		}
		if asJSON {
			if err := l.document(w, entry); err != nil {
				return err
			}
		} else {
			l.row(t, entry)
		}
		if seen++; seen == limit {
			break
		}
	}
	failed = errors.Join(failed, skipped.err())
	if asJSON || failed != nil && t.empty() {
		return failed
	}
	return errors.Join(t.print(l.none), failed)
}
