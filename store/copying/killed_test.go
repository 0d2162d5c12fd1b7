package copying_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/copying"
)

// childVariable has the test's own program copy, and stop for ever after some pieces.
const childVariable = "DLRLOOP_TEST_COPY"

// stuck is a sink that says when it has kept its pieces, and then never returns.
type stuck struct {
	copying.Sink
	left int
}

func (s *stuck) Import(ctx context.Context, p copying.Piece, m copying.Mark) error {
	if s.left == 0 {
		fmt.Println("stuck")
		select {}
	}
	s.left--
	return s.Sink.Import(ctx, p, m)
}

// TestCopyUntilKilled is the child of TestKilled; by itself it does nothing.
func TestCopyUntilKilled(t *testing.T) {
	order := strings.Split(os.Getenv(childVariable), " ")
	if len(order) != 2 {
		return
	}
	_, err := copying.Run(t.Context(), parsePlace(order[0]).source(t), &stuck{parsePlace(order[1]).sink(t), 2}, func(copying.Progress) {})
	require.NoError(t, err)
}

// parsePlace reads where a store is.
func parsePlace(at string) place {
	if strings.HasPrefix(at, "postgres://") {
		return database{url: at}
	}
	return bolt{at}
}

// A copy that kill -9 ends in the middle goes on where it was, in both directions.
func TestKilled(t *testing.T) {
	first, there, back := newFolder(t), newDatabase(t), newFolder(t)
	crowd(t, first)
	want := copied(t, first, newFolder(t)).Sums
	kill(t, first.path, there.url)
	requireUnfinished(t, there)
	summary := copied(t, first, there)
	require.True(t, summary.Resumed)
	require.Equal(t, want, summary.Sums)

	kill(t, there.url, back.path)
	requireUnfinished(t, back)
	summary = copied(t, there, back)
	require.True(t, summary.Resumed)
	require.Equal(t, want, summary.Sums)
}

// kill has a process copy two pieces, and kills it.
func kill(t *testing.T, from, to string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCopyUntilKilled$", "-test.timeout=60s")
	child.Env = append(os.Environ(), childVariable+"="+from+" "+to)
	said, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(said)
	for lines.Scan() && lines.Text() != "stuck" {
		t.Log(lines.Text())
	}
	require.Equal(t, "stuck", lines.Text())
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
}
