// Dlrloop receives the delivery reports of the Sinch SMS REST API, stores them durably, and sends delivery feedback.
package main

import (
	"os"

	"github.com/dlrloop/dlrloop/cli"
)

func main() { os.Exit(cli.Main()) }
