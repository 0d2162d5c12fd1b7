// Queries prints every query of every dashboard, one JSON object a line, as a Prometheus without Grafana takes it.
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
