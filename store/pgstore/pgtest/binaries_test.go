package pgtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// programs makes empty programs in a folder below root and returns that folder.
func programs(t *testing.T, root, folder string, names ...string) string {
	t.Helper()
	folder = filepath.Join(root, folder)
	require.NoError(t, os.MkdirAll(folder, 0o700))
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o700))
	}
	return folder
}

// newRoot is a folder without a link in its path.
func newRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return root
}

func TestFindTakesTheNewest(t *testing.T) {
	root := newRoot(t)
	programs(t, root, "pg/9.6/bin", "postgres", "initdb")
	newest := programs(t, root, "pg/15/bin", "postgres", "initdb")
	programs(t, root, "pg/17/bin", "postgres") // only a part of it is installed
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

func TestNothingFoundSaysWhatToInstall(t *testing.T) {
	root := newRoot(t)
	programs(t, root, "client", "psql")
	_, err := find(filepath.Join(root, "client"), []string{filepath.Join(root, "pg/*/bin")})
	require.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, "apt-get install postgresql")
	assert.ErrorContains(t, err, "DLRLOOP_TEST_POSTGRES")
}
