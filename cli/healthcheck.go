package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

func healthcheckCommand() *cobra.Command {
	var url string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Report by the exit code whether dlrloop on this machine is alive, for containers",
		Long: `Healthcheck requests /healthz from the configured private listener, or the given URL. It needs no credentials.

Exit codes: 0 it answered 200, 1 it did not.`,
		Example: `  dlrloop healthcheck
  dlrloop healthcheck --url http://127.0.0.1:8081/readyz

  # in a Dockerfile
  HEALTHCHECK CMD ["/dlrloop", "healthcheck"]`,
		Args: cobra.NoArgs,
	}
	path := configFlag(c)
	c.Flags().StringVar(&url, "url", "", "`URL` to request instead")
	c.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "maximum time for the answer")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if url == "" {
			url = "http://" + reachable(config.PrivateListen(*path, environ())) + "/healthz"
		}
		ctx, cancel := context.WithTimeout(c.Context(), timeout)
		defer cancel()
		status, err := probe(ctx, url)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s answers %s\n", url, status)
		return nil
	}
	return c
}

// probe requests url, without a proxy and without following redirects. It returns the status line "200 OK"; any other
// status is an error.
func probe(ctx context.Context, url string) (string, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", usageError{err}
	}
	response, err := transport.RoundTrip(request)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", fmt.Errorf("%s does not answer in time", url)
	case err != nil:
		return "", fmt.Errorf("%s does not answer: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	return response.Status, nil
}

// reachable returns the address at which programs on this machine reach a listener whose configured address is listen.
// If listen means all addresses, as :8081 does, reachable returns a loopback address.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
