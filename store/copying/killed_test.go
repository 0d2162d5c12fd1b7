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

// childVariable tells the test binary to copy some pieces and then block.
const childVariable = "DLRLOOP_TEST_COPY"

// stuck is a sink that prints a line and blocks forever after some pieces.
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

// TestCopyUntilKilled is the child process of TestResume; without childVariable it does nothing.
func TestCopyUntilKilled(t *testing.T) {
	args := strings.Split(os.Getenv(childVariable), " ")
	if len(args) != 3 {
		return
	}
	pieces, err := strconv.Atoi(args[2])
	require.NoError(t, err)
	source, sink := parsePlace(args[0]).source(t), parsePlace(args[1]).sink(t)
	_, err = copying.Run(t.Context(), source, &stuck{sink, pieces}, func(copying.Progress) {})
	require.NoError(t, err)
}

// at returns the path or the URL of a store.
func at(p place) string {
	if d, ok := p.(database); ok {
		return d.url
	}
	return p.(bolt).path
}

// parsePlace parses a result of at.
func parsePlace(at string) place {
	if strings.HasPrefix(at, "postgres://") {
		return database{url: at}
	}
	return bolt{at}
}

// kill starts a process that copies that many pieces, and kills it with kill -9 before it stores the next.
func kill(t *testing.T, from, to place, pieces int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCopyUntilKilled$", "-test.timeout=60s")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", childVariable, at(from), at(to), pieces))
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != "stuck" {
		t.Log(lines.Text())
	}
	require.Equal(t, "stuck", lines.Text())
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
}
