package main

import (
	"fmt"
	"io"
	"strings"
)

func mib(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/(1<<20)) }

func count(n float64) string { return fmt.Sprintf("%.0f", n) }

// memoryTable writes a Markdown table with one row for each measurement: the memory usage, the rate of reports, and how
// long dlrloop took to start after a crash. A cell such as 40 (90) means 40 MiB for heap and stacks, and 90 MiB
// including mapped files.
func memoryTable(out io.Writer, all []figures) {
	heading(
		out, "stored", "limit", "idle MiB", "ingest: peak MiB", "reports/s", "burst: peak MiB", "recipients/s",
		"left MiB",
		"start: peak MiB", "ready after s", "read after s",
	)
	both := func(p peak) string { return mib(p.anon) + " (" + mib(p.highWater) + ")" }
	seconds := func(s float64) string { return fmt.Sprintf("%.1f", s) }
	for _, f := range all {
		row(
			out, fmt.Sprint(f.stored), f.limit, both(peak{anon: f.idle.anon, highWater: f.idle.anon + f.idle.files}),
			both(f.ingest), count(f.ingested.rate()), both(f.burst), count(f.full.rate()), mib(f.remaining),
			both(f.start.peak), seconds(f.start.ready.Seconds()), seconds(f.start.read.Seconds()),
		)
	}
}

// diskTable writes a Markdown table with one row for each measurement: the disk usage of the filled store, and the
// growth of the database per report.
func diskTable(out io.Writer, all []figures) {
	heading(out, "stored", "limit", "database MiB", "journal MiB", "bytes for each recipient of a full report",
		"bytes for each report of a recipient")
	for _, f := range all {
		row(out, fmt.Sprint(f.stored), f.limit, mib(f.database), mib(f.journal), count(f.recipient), count(f.report))
	}
}

// heading writes the first two lines of a Markdown table: the column headings and the separator line.
func heading(out io.Writer, columns ...string) {
	row(out, columns...)
	fmt.Fprintln(out, strings.Repeat("|---:", len(columns))+"|")
}

func row(out io.Writer, cells ...string) { fmt.Fprintln(out, "| "+strings.Join(cells, " | ")+" |") }
