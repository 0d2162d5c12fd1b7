package api

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheNodeExample runs the program in docs/events.md. It is skipped without Node 18 or later.
func TestTheNodeExample(t *testing.T) {
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil || !regexp.MustCompile(`^v(1[89]|[2-9]\d)\.`).Match(version) {
		t.Skip("node 18 or later is not installed")
	}
	page, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	program := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(page)
	require.NotNil(t, program)
	require.LessOrEqual(t, strings.Count(string(program[1]), "\n"), 30)
	file := filepath.Join(t.TempDir(), "live.mjs")
	require.NoError(t, os.WriteFile(file, program[1], 0o600))

	all := sampleEvents()
	s := quietFeed(t, all...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	node := exec.CommandContext(ctx, "node", file)
	node.Env = append(os.Environ(), "DLRLOOP="+s.URL)
	node.Stderr = os.Stderr
	pipe, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	s.log.wait(t)

	later := all[3]
	later.Version++
	s.log.add(all[2], all[2], all[5], later)
	lines := bufio.NewScanner(pipe)
	for _, want := range []string{
		batchOTP + " " + alice + " Delivered (no error, or unknown error)",
		batchOTP + " " + bob + " Paused (no code)",
	} {
		require.True(t, lines.Scan())
		require.Equal(t, want, lines.Text())
	}
	cancel()
	require.Error(t, node.Wait(), "it is killed")
}
