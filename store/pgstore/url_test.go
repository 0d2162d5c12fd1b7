package pgstore_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// What is wrong with a URL is told as far as it cannot hold the password.
func TestAURLThatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	for parameters, why := range map[string]string{
		"sslrootcert=/missing.pem": "open store: the URL is not understood: open /missing.pem: no such file or directory",
		"sslmode=verify_full":      "open store: the URL is not understood",
		"port=notaport":            "open store: the URL is not understood",
	} {
		_, err := pgstore.Open(t.Context(), pgstore.Config{URL: "postgres://dlrloop:s3cret@db.example/dlrloop?" + parameters})
		require.ErrorIs(t, err, pgstore.ErrURL)
		require.EqualError(t, err, why)
	}
	_, err := pgstore.OpenSource(t.Context(), pgstore.Config{URL: "host=db.example password=s3cret sslkey=/gone sslcert=/gone"})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, err.Error(), "s3cret")
}
