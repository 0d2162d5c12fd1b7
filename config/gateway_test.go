package config

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestWarnsOfAGatewayWithoutTLS(t *testing.T) {
	for listen, warned := range map[string]bool{
		`":8082"`: true, "10.0.0.1:8082": true, "127.0.0.1:8082": false,
		`"[::1]:8082"`: false,
	} {
		c, err := load(t, minimal+"gateway: {listen: "+listen+"}\n")
		require.NoError(t, err)
		require.Equal(t, warned, len(c.Warnings) == 1, listen)
		if warned {
			require.Contains(t, c.Warnings.Error(), "gateway.listen")
			require.Contains(t, c.Warnings.Error(), "set gateway.tls")
		}
	}
}

func TestTLSFilesAreRelativeToTheConfiguration(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config.yaml": minimal + "gateway: {listen: \":8082\", tls: {cert_file: tls/c.pem, key_file: tls/k.pem}}\n",
		"tls/c.pem":   "no certificate", "tls/k.pem": "no key",
	})
	_, err := Load(filepath.Join(dir, "config.yaml"), nil)
	require.ErrorContains(t, err, "gateway.tls.cert_file: cannot use certificate and key")
	reloaded, err := Reload(filepath.Join(dir, "config.yaml"), nil)
	require.NoError(t, err, "Reload does not read the TLS files")
	require.Equal(t, filepath.Join(dir, "tls/c.pem"), reloaded.Gateway.TLS.CertFile)
}

// TestAPlanWithoutCredentials has a plan whose callers have their own token and which sends no feedback.
func TestAPlanWithoutCredentials(t *testing.T) {
	c, err := load(t, planWith(region, anyCaller, "feedback: {on: off}"))
	require.NoError(t, err)
	require.False(t, c.Plans[0].Callable())
	require.Equal(t, CallerToken, c.Plans[0].Gateway.Token)
}

func TestEveryValueOfFeedbackOn(t *testing.T) {
	for _, on := range []store.On{store.OnDelivered, store.OnConfirmed, store.OnBoth, store.OnOff} {
		c, err := load(t, planWith(region, apiToken, anyCaller, "feedback: {on: "+string(on)+"}"))
		require.NoError(t, err)
		require.Equal(t, on, c.Plans[0].Feedback.On)
	}
}
