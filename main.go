// Dlrloop takes the delivery reports of the Sinch SMS REST API durably and sends the delivery feedback on.
package main

import (
	"os"

	"github.com/dlrloop/dlrloop/cli"
)

func main() { os.Exit(cli.Main()) }
