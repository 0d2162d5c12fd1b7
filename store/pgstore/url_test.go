package pgstore_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// The error for an invalid URL contains as much as cannot reveal the password.
func TestInvalidURL(t *testing.T) {
	t.Parallel()
	for parameters, why := range map[string]string{
		"sslrootcert=/missing.pem": "open store: cannot parse the URL: open /missing.pem: no such file or directory",
		"sslmode=verify_full":      "open store: cannot parse the URL",
		"port=notaport":            "open store: cannot parse the URL",
	} {
		_, err := pgstore.Open(t.Context(), pgstore.Config{URL: "postgres://dlrloop:s3cret@db.example/dlrloop?" + parameters})
		require.ErrorIs(t, err, pgstore.ErrURL)
		require.EqualError(t, err, why)
	}
	keywords := "host=db.example password=s3cret sslkey=/gone sslcert=/gone"
	_, err := pgstore.OpenSource(t.Context(), pgstore.Config{URL: keywords})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, err.Error(), "s3cret")
}
