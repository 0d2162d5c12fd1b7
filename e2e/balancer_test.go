package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// balancer is an nginx in front of the replicas, with the configuration of deploy/compose-replicas.yaml.
type balancer struct {
	webhooks, gateways string // addresses
}

// startBalancer runs nginx with deploy/compose/nginx.conf, in which it replaces addresses and directories. It skips
// the test if nginx is not installed.
func startBalancer(t *testing.T, programs []*program) balancer {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	h := newHost(t)
	b := balancer{webhooks: h.address(publicPort), gateways: h.address(gatewayPort)}
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, b.configuration(t, dir, programs), 0o600))
	// A single process ends with the signal, so no worker process can stay behind.
	c := exec.Command(binary, "-p", dir, "-c", config, "-e", "stderr", "-g", "daemon off; master_process off;")
	var output bytes.Buffer
	c.Stderr = &output
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(t, <-ended)
		if t.Failed() {
			t.Logf("end of nginx's log:\n%s", last(&output, 5000))
		}
	})
	eventually(t, "accepting", func() bool {
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "nginx ended unexpectedly", "%v: %s", err, &output)
		default:
		}
		connection, err := net.Dial("tcp", b.webhooks)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	})
	return b
}

// resolving matches the directives for names that only Docker's DNS can resolve.
var resolving = regexp.MustCompile(`(?m)^\s*resolver .*\n| resolve\b`)

// configuration returns the committed configuration with the addresses of this balancer.
func (b balancer) configuration(t *testing.T, dir string, programs []*program) []byte {
	t.Helper()
	committed, err := os.ReadFile("../deploy/compose/nginx.conf")
	require.NoError(t, err)
	config := resolving.ReplaceAllString(string(committed), "")
	for old, address := range b.addresses(programs) {
		require.Contains(t, config, " "+old)
		config = strings.ReplaceAll(config, " "+old, " "+address)
	}
	return []byte(strings.ReplaceAll(config, " /tmp/", " "+dir+"/"))
}

// addresses maps each address in the committed configuration to its replacement.
func (b balancer) addresses(programs []*program) map[string]string {
	addresses := map[string]string{"8080;": b.webhooks + ";", "8082;": b.gateways + ";"}
	for i, p := range programs {
		addresses[fmt.Sprintf("dlrloop-%d:8080", i+1)] = p.public
		addresses[fmt.Sprintf("dlrloop-%d:8082", i+1)] = p.private // the gateway has no listener of its own here
	}
	return addresses
}
