// Command queries prints every query of every dashboard without Grafana's variables, one JSON object per line.
package main

import (
	"fmt"
	"os"

	"github.com/dlrloop/dlrloop/dashboards"
)

func main() {
	if err := dashboards.WriteQueries(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "queries:", err)
		os.Exit(1)
	}
}
