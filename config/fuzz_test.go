package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLoad checks that no file and no value of a variable makes Load panic, and that every error has a message.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(minimal), "10s")
	f.Add([]byte(planWith(region, apiToken, anyCaller, "feedback: &f {<<: *f, on: off}")), "[a, b]")
	f.Add([]byte("plans: [{id: &a a, token: *a, webhook: {auth: {hmac: {secrets: !!binary x}}}}]\n---\n? a\n: b"), "1d")
	f.Add([]byte("{plans: [[], {}, null, 1], log: |\n  x\n}"), "")
	f.Add([]byte("a: &a [*a]\n<<: *a\n<<: {log: 1}\n"), "[")
	f.Add([]byte("*a : 1\n!!set {a}: \n\"\": x\n"), "{")
	f.Fuzz(func(t *testing.T, content []byte, value string) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		c, err := Load(path, []string{
			"DLRLOOP_STORE_RETENTION=" + value, "DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS=" + value,
			"DLRLOOP_PUBLIC_TRUSTED_PROXIES=" + value,
		})
		if err == nil {
			require.NotEmpty(t, c.Plans)
			return
		}
		require.Nil(t, c)
		var problems Problems
		require.ErrorAs(t, err, &problems)
		require.NotEmpty(t, problems)
		for _, p := range problems {
			require.NotEmpty(t, p.Message)
			require.NotEmpty(t, p.Error())
		}
	})
}
