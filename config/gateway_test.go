package config

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestAGatewayInClearTextIsWarnedOf(t *testing.T) {
	for listen, warned := range map[string]bool{`":8082"`: true, "10.0.0.1:8082": true, "127.0.0.1:8082": false, `"[::1]:8082"`: false} {
		c, err := load(t, minimal+"gateway: {listen: "+listen+"}\n")
		require.NoError(t, err)
		require.Equal(t, warned, len(c.Warnings) == 1, listen)
		if warned {
			require.Contains(t, c.Warnings.Error(), "gateway.listen")
			require.Contains(t, c.Warnings.Error(), "set gateway.tls")
		}
	}
}

func TestTheGatewaysFilesAreRelativeToTheConfiguration(t *testing.T) {
	dir := folder(t, map[string]string{
		"config.yaml": minimal + "gateway: {listen: \":8082\", tls: {cert_file: tls/c.pem, key_file: tls/k.pem}}\n",
		"tls/c.pem":   "no certificate", "tls/k.pem": "no key",
	})
	_, err := Load(filepath.Join(dir, "config.yaml"), nil)
	require.ErrorContains(t, err, "gateway.tls.cert_file: certificate and key do not work together")
	reloaded, err := Reload(filepath.Join(dir, "config.yaml"), nil)
	require.NoError(t, err, "a server that runs keeps the last pair that worked")
	require.Equal(t, filepath.Join(dir, "tls/c.pem"), reloaded.Gateway.TLS.CertFile)
}

// TestNoCredentialsButAGateway has a plan whose callers bring their own token, and which sends nothing by itself.
func TestNoCredentialsButAGateway(t *testing.T) {
	c, err := load(t, planWith(region, webhook, "feedback: {on: off}"))
	require.NoError(t, err)
	require.False(t, c.Plans[0].Callable())
	require.Equal(t, CallerToken, c.Plans[0].Gateway.Token)
}

func TestEveryWayToEarnFeedback(t *testing.T) {
	for _, on := range []store.On{store.OnDelivered, store.OnConfirmed, store.OnBoth, store.OnOff} {
		c, err := load(t, planWith(region, apiToken, webhook, "feedback: {on: "+string(on)+"}"))
		require.NoError(t, err)
		require.Equal(t, on, c.Plans[0].Feedback.On)
	}
}
