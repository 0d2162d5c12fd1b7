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

// balancer is an nginx before replicas: the one of deploy/compose-replicas.yaml.
type balancer struct {
	webhooks, gateways string // addresses
}

// startBalancer runs nginx as deploy/compose/nginx.conf has it, but for addresses and folders. The test is skipped where there is none.
func startBalancer(t *testing.T, programs []*program) balancer {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	own := newHost(t)
	b := balancer{webhooks: own.address(publicPort), gateways: own.address(gatewayPort)}
	folder := t.TempDir()
	config := filepath.Join(folder, "nginx.conf")
	require.NoError(t, os.WriteFile(config, b.configuration(t, folder, programs), 0o600))
	// One process, which ends with its signal: nothing is left of it, whoever runs the test.
	c := exec.Command(binary, "-p", folder, "-c", config, "-e", "stderr", "-g", "daemon off; master_process off;")
	var said bytes.Buffer
	c.Stderr = &said
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(t, <-ended)
		if t.Failed() {
			t.Logf("nginx said last:\n%s", last(&said, 5000))
		}
	})
	eventually(t, "accepting", func() bool {
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "nginx ended by itself", "%v: %s", err, &said)
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

// resolving is what the committed configuration says of names that Docker's DNS knows.
var resolving = regexp.MustCompile(`(?m)^\s*resolver .*\n| resolve\b`)

// configuration is the committed one with these addresses.
func (b balancer) configuration(t *testing.T, folder string, programs []*program) []byte {
	t.Helper()
	committed, err := os.ReadFile("../deploy/compose/nginx.conf")
	require.NoError(t, err)
	config := resolving.ReplaceAllString(string(committed), "")
	for old, address := range b.addresses(programs) {
		require.Contains(t, config, " "+old)
		config = strings.ReplaceAll(config, " "+old, " "+address)
	}
	return []byte(strings.ReplaceAll(config, " /tmp/", " "+folder+"/"))
}

// addresses are those of the committed configuration, with what is there instead.
func (b balancer) addresses(programs []*program) map[string]string {
	addresses := map[string]string{"8080;": b.webhooks + ";", "8082;": b.gateways + ";"}
	for i, p := range programs {
		addresses[fmt.Sprintf("dlrloop-%d:8080", i+1)] = p.public
		addresses[fmt.Sprintf("dlrloop-%d:8082", i+1)] = p.private // where the gateway is unless it has a listener of its own
	}
	return addresses
}
