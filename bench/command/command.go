// Package command runs the commands of the bench module.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// Run is the main function of each bench command. It calls function bench with the command line arguments and a context
// that Ctrl-C cancels. If bench returns an error other than flag.ErrHelp, Run prints it and exits with status 1.
func Run(bench func(ctx context.Context, arguments []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
