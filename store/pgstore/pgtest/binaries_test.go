package pgtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// programs creates executable files in root/dir and returns that directory.
func programs(t *testing.T, root, dir string, names ...string) string {
	t.Helper()
	dir = filepath.Join(root, dir)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o700))
	}
	return dir
}

// newRoot returns a temporary directory whose path contains no symbolic link.
func newRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return root
}

func TestFindReturnsHighestVersion(t *testing.T) {
	root := newRoot(t)
	programs(t, root, "pg/9.6/bin", "postgres", "initdb")
	newest := programs(t, root, "pg/15/bin", "postgres", "initdb")
	programs(t, root, "pg/17/bin", "postgres") // incomplete installation: no initdb
	programs(t, root, "other", "postgres", "initdb")
	found, err := find("", []string{filepath.Join(root, "pg/*/bin"), filepath.Join(root, "other")})
	require.NoError(t, err)
	assert.Equal(t, newest, found)
}

func TestFindPrefersPath(t *testing.T) {
	root := newRoot(t)
	programs(t, root, "pg/15/bin", "postgres", "initdb")
	chosen := programs(t, root, "chosen", "postgres", "initdb")
	links := programs(t, root, "links")
	require.NoError(t, os.Symlink(filepath.Join(chosen, "postgres"), filepath.Join(links, "postgres")))
	path := programs(t, root, "empty") + string(filepath.ListSeparator) + links
	found, err := find(path, []string{filepath.Join(root, "pg/*/bin")})
	require.NoError(t, err)
	assert.Equal(t, chosen, found)
}

func TestErrNotFoundListsWhatToInstall(t *testing.T) {
	root := newRoot(t)
	programs(t, root, "client", "psql")
	_, err := find(filepath.Join(root, "client"), []string{filepath.Join(root, "pg/*/bin")})
	require.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, "apt-get install postgresql")
	assert.ErrorContains(t, err, "DLRLOOP_TEST_POSTGRES")
}
