package disk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMakeDirCreatesParents(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"a/b/c", "a/b/c", "a/b/c/", "a", ".", "a/../d"} {
		require.NoError(t, MakeDir(filepath.Join(root, path)+"/"))
		require.DirExists(t, filepath.Join(root, path))
	}
	file := filepath.Join(root, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Error(t, MakeDir(file))
	require.Error(t, MakeDir(filepath.Join(file, "below")))
	require.NoError(t, os.Symlink(filepath.Join(root, "a"), filepath.Join(root, "link")))
	require.NoError(t, MakeDir(filepath.Join(root, "link")))
}
