package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// columns are the columns of the results table. name is the heading, value returns the value of a round, and format is
// the Printf verb of the value.
var columns = []struct {
	name   string
	of     func(figures) float64
	format string
}{
	{"reports/s", func(f figures) float64 { return f.throughput }, "%.0f"},
	{"p50 ms", func(f figures) float64 { return milliseconds(f.p50) }, "%.2f"},
	{"p99 ms", func(f figures) float64 { return milliseconds(f.p99) }, "%.2f"},
	{"p99.9 ms", func(f figures) float64 { return milliseconds(f.p999) }, "%.1f"},
	{"CPU µs", func(f figures) float64 { return float64(f.cpu) / float64(time.Microsecond) }, "%.0f"},
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// comparisons are the columns of the results table that compare two program variants. Each divides a value by the value
// of the variant other in the same round. column is the index of the compared value in columns.
var comparisons = []struct {
	with   subject
	column int
}{{subjectAppend, 0}, {subjectAppend, 2}, {subjectDlrloop, 0}, {subjectPostgres, 0}}

// table writes the results to out, with one row for each number of connections and program variant. Each value is the
// median over the rounds. Ratios also show their minimum and maximum.
func table(out io.Writer, connections []int, subjects []subject, all results) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "connections\tsubject\t")
	for _, c := range columns {
		fmt.Fprint(w, c.name, "\t")
	}
	for _, c := range comparisons {
		fmt.Fprintf(w, "of %s: %s\t", c.with, columns[c.column].name)
	}
	fmt.Fprintln(w)
	for _, n := range connections {
		for _, s := range subjects {
			fmt.Fprintf(w, "%d\t%s\t", n, s)
			for _, c := range columns {
				fmt.Fprintf(w, c.format+"\t", each(all[n][s], c.of).median)
			}
			for _, c := range comparisons {
				share := ratio(all[n][s], all[n][c.with], columns[c.column].of)
				if share == (spread{}) {
					fmt.Fprint(w, "–\t")
					continue
				}
				fmt.Fprintf(w, "%.2f (%.2f–%.2f)\t", share.median, share.least, share.largest)
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

// databaseColumns are the columns of the table that shows what PostgreSQL used. name is the heading, value returns the
// value of a round, and format is the Printf verb of the value.
var databaseColumns = []struct {
	name   string
	of     func(figures) float64
	format string
}{
	{"dlrloop CPU µs", func(f figures) float64 { return float64(f.cpu) / float64(time.Microsecond) }, "%.0f"},
	{
		"PostgreSQL CPU µs",
		func(f figures) float64 { return perReport(f, float64(f.database.cpu)/float64(time.Microsecond)) }, "%.0f",
	},
	{"log bytes", func(f figures) float64 { return perReport(f, float64(f.database.wal)) }, "%.0f"},
	{"table bytes", func(f figures) float64 { return perReport(f, float64(f.database.table)) }, "%.0f"},
	{"index bytes", func(f figures) float64 { return perReport(f, float64(f.database.indexes)) }, "%.0f"},
	{"connections of dlrloop", func(f figures) float64 { return float64(f.database.connections) }, "%.0f"},
}

func perReport(f figures, of float64) float64 { return of / float64(f.reports) }

// databaseTable writes what PostgreSQL used to out, with rows for the program variants on PostgreSQL. Each value is the
// median over the rounds.
func databaseTable(out io.Writer, connections []int, subjects []subject, all results) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "connections\tsubject\t")
	for _, c := range databaseColumns {
		fmt.Fprint(w, c.name, "\t")
	}
	fmt.Fprintln(w)
	for _, n := range connections {
		for _, s := range subjects {
			if !s.onPostgres() {
				continue
			}
			fmt.Fprintf(w, "%d\t%s\t", n, s)
			for _, c := range databaseColumns {
				fmt.Fprintf(w, c.format+"\t", each(all[n][s], c.of).median)
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}
