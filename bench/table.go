package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// columns defines the columns of the results table. Each has a heading, a function that returns its value for one round
// (repetition), and a Printf format for the median of these values.
var columns = []struct {
	name   string
	value  func(figures) float64
	format string
}{
	{"reports/s", func(f figures) float64 { return f.throughput }, "%.0f"},
	{"p50 ms", func(f figures) float64 { return milliseconds(f.p50) }, "%.2f"},
	{"p99 ms", func(f figures) float64 { return milliseconds(f.p99) }, "%.2f"},
	{"p99.9 ms", func(f figures) float64 { return milliseconds(f.p999) }, "%.1f"},
	{"CPU µs", func(f figures) float64 { return float64(f.cpu) / float64(time.Microsecond) }, "%.0f"},
	{"waiting", func(f figures) float64 { return float64(f.waiting) }, "%.0f"},
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// comparisons defines the columns of the results table that compare each program with another program, the baseline.
// For example, the first column shows the throughput of a program divided by the throughput of subjectAppend. The field
// column is the index of the compared figure in the variable columns.
var comparisons = []struct {
	baseline subject
	column   int
}{{subjectAppend, 0}, {subjectAppend, 2}, {subjectDlrloop, 0}, {subjectPostgres, 0}}

// table writes the results to out as text, with one row for each number of connections and each program. A value is the
// median over all rounds (repetitions). A comparison with another program also shows the minimum and the maximum, or a
// dash if that program was not measured.
func table(out io.Writer, connections []int, subjects []subject, all results) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "connections\tsubject\t")
	for _, c := range columns {
		fmt.Fprint(w, c.name, "\t")
	}
	for _, c := range comparisons {
		fmt.Fprintf(w, "of %s: %s\t", c.baseline, columns[c.column].name)
	}
	fmt.Fprintln(w)
	for _, n := range connections {
		for _, s := range subjects {
			fmt.Fprintf(w, "%d\t%s\t", n, s)
			for _, c := range columns {
				fmt.Fprintf(w, c.format+"\t", overRounds(all[n][s], c.value).median)
			}
			for _, c := range comparisons {
				comparison := ratio(all[n][s], all[n][c.baseline], columns[c.column].value)
				if comparison == (spread{}) {
					fmt.Fprint(w, "–\t")
					continue
				}
				fmt.Fprintf(w, "%.2f (%.2f–%.2f)\t", comparison.median, comparison.least, comparison.largest)
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

// databaseColumns defines the columns of the table that databaseTable writes, such as PostgreSQL's processor time per
// report. Each has a heading, a function that returns its value for one round (repetition), and a Printf format.
var databaseColumns = []struct {
	name   string
	value  func(figures) float64
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

func perReport(f figures, total float64) float64 { return total / float64(f.reports) }

// databaseTable writes a table to out, with one row for each number of connections and each program that stores reports
// in PostgreSQL. It shows, for example, the processor time and the disk space per report. Each value is the median over
// all rounds (repetitions).
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
				fmt.Fprintf(w, c.format+"\t", overRounds(all[n][s], c.value).median)
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}
