package copying_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
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

// TestCopyUntilKilled is the child of TestResume; by itself it does nothing.
func TestCopyUntilKilled(t *testing.T) {
	order := strings.Split(os.Getenv(childVariable), " ")
	if len(order) != 3 {
		return
	}
	pieces, err := strconv.Atoi(order[2])
	require.NoError(t, err)
	_, err = copying.Run(t.Context(), parsePlace(order[0]).source(t), &stuck{parsePlace(order[1]).sink(t), pieces}, func(copying.Progress) {})
	require.NoError(t, err)
}

// at tells where a store is.
func at(p place) string {
	if d, ok := p.(database); ok {
		return d.url
	}
	return p.(bolt).path
}

// parsePlace reads where a store is.
func parsePlace(at string) place {
	if strings.HasPrefix(at, "postgres://") {
		return database{url: at}
	}
	return bolt{at}
}

// kill has a process copy so many pieces, and kills it with kill -9 before the next.
func kill(t *testing.T, from, to place, pieces int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCopyUntilKilled$", "-test.timeout=60s")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", childVariable, at(from), at(to), pieces))
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
