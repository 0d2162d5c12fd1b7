package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
)

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Receive callbacks, store them, and send delivery feedback",
		Long: `Serve receives Sinch's callbacks on the public listener, stores them, and sends the delivery feedback that
they earn. The private listener serves API and metrics.

SIGTERM and SIGINT stop it gracefully: it becomes not ready, keeps serving for the shutdown delay, finishes
requests and feedback calls in flight, and closes the store. A second signal ends it at once, without losing
an acknowledged report. SIGHUP reloads the credentials of the webhooks from the configuration, and the TLS
files. Changed TLS files are also read within 10 seconds without a signal. Other changes of the configuration
take effect at the next start.

It exits with 0 after a signal, with 2 if the configuration is invalid, and with 1 after any other error.`,
		Example: `  dlrloop serve
  dlrloop serve --config /etc/dlrloop/config.yaml
  DLRLOOP_PLANS_0_TOKEN=... dlrloop serve`,
		Args: cobra.NoArgs,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return serve(c.Context(), *path, c.ErrOrStderr()) }
	return c
}

func serve(ctx context.Context, path string, stderr io.Writer) error {
	c, err := config.Load(path, environ())
	if err != nil {
		return err
	}
	server.Tune(c)
	log := newLogger(c.Log, stderr)
	for _, w := range c.Warnings {
		replicaLogger(c, log).WarnContext(ctx, "configuration", slog.String("warning", w.Error()))
	}
	reloads, stop := hangups(ctx)
	defer stop()
	s, err := server.Start(ctx, c, server.Options{
		Version: Version(),
		Log:     log,
		Reload:  func() (*config.Config, error) { return config.Reload(path, environ()) },
		Reloads: reloads,
		Serving: func() { notify(log, daemon.SdNotifyReady) },
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { notify(log, daemon.SdNotifyStopping) })
	return s.Run(ctx)
}

// replicaLogger returns a logger that adds the configured name of this replica to each line. It returns log itself if
// no name is configured or the store is not PostgreSQL. It is for use before the server starts, because the server adds
// the name to its own lines.
func replicaLogger(c *config.Config, log *slog.Logger) *slog.Logger {
	if c.Store.Driver != config.DriverPostgres || c.Replica == "" {
		return log
	}
	return log.With(slog.String("replica", c.Replica))
}

// hangups starts a goroutine that sends on the returned channel when the process gets SIGHUP, until ctx ends. Signals
// in quick succession may cause a single send. The caller must call stop, which waits for the goroutine to end.
func hangups(ctx context.Context) (received <-chan struct{}, stop func()) {
	signals, hangups := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			select {
			case hangups <- struct{}{}:
			default:
			}
		}
	}()
	return hangups, func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}

// notify tells systemd the state of this process, such as daemon.SdNotifyReady. Without systemd it does nothing.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("supervisor not notified", slog.Any("error", err))
	}
}

// newLogger returns a logger with the configured level and format that writes to w. The format auto means text if w is
// a terminal, otherwise JSON.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // config.Load has validated the level
	options := &slog.HandlerOptions{Level: level}
	if c.Format == config.FormatText || c.Format == config.FormatAuto && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String()) // "1.5s", as in the text format, instead of nanoseconds
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
