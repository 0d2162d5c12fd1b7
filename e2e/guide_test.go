package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// guideApplication starts the application that docs/events.md shows, at an address of its own, and ends it with the
// test. It returns its URL and a function that returns the lines that it has printed.
func guideApplication(t *testing.T) (url string, printed func() []string) {
	t.Helper()
	node := installNodeClient(t)
	page, err := os.ReadFile("../docs/events.md")
	require.NoError(t, err)
	programs := regexp.MustCompile("(?s)```js\n(.*?)```").FindAllSubmatch(page, -1)
	require.Len(t, programs, 2, "one for the feed and one for a destination")
	program := string(programs[1][1])
	require.LessOrEqual(t, strings.Count(program, "\n"), 30)
	address := newHost(t).address(applicationPort)
	ip, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	const listens = `listen(3000, "127.0.0.1")`
	require.Contains(t, program, listens)
	program = strings.Replace(program, listens, fmt.Sprintf("listen(%s, %q)", port, ip), 1)

	dir := t.TempDir()
	packages, err := filepath.Abs("node/node_modules")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(packages, filepath.Join(dir, "node_modules")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.mjs"), []byte(program), 0o600))
	output, err := os.Create(filepath.Join(dir, "output"))
	require.NoError(t, err)
	c := exec.Command(node, "app.mjs")
	c.Dir, c.Stdout, c.Stderr = dir, output, output
	c.Env = append(os.Environ(), "SECRET="+eventSecret)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, c.Process.Kill())
		require.Error(t, c.Wait(), "it is killed")
		require.NoError(t, output.Close())
	})
	return "http://" + address + "/reports", func() []string {
		text, err := os.ReadFile(output.Name())
		require.NoError(t, err)
		return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
	}
}

// TestTheGuidesApplication delivers to the application in docs/events.md, one event a request and several. It must
// show each state once, and refuse requests that are signed with another secret.
func TestTheGuidesApplication(t *testing.T) {
	t.Parallel()
	url, printed := guideApplication(t)
	p := configured(t, fmt.Sprintf(`
store: {path: %q}
log: {level: error}
plans:
  - id: %s
    base_url: http://127.0.0.1:9
    token: %s
    webhook: {auth: {hmac: {secrets: [%s]}}}
    feedback: {on: "off"}
destinations:
  - {name: single, url: %[5]s, secrets: [%[6]s]}
  - {name: several, url: %[5]s, secrets: [%[6]s], max_events: 10}
  - {name: wrong, url: %[5]s, secrets: [whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3]}
`, filepath.Join(t.TempDir(), "data"), plan, token, secret, url, eventSecret))
	p.start()
	const batch = "01KJQ5Z3C0AAAA0000000000A1"
	const refused = "No matching signature found"
	var want []string
	for n := range 10 {
		p.call(recipientReport(batch, n, "Delivered", 0))
		want = append(want, fmt.Sprintf("%s 4477%08d Delivered (no error, or unknown error)", batch, n))
	}
	want = append(want, refused) // in the order of the alphabet
	eventually(t, "shown", func() bool {
		lines := printed()
		slices.Sort(lines)
		return slices.Equal(want, slices.Compact(lines)) && len(lines) > len(want)
	})
	shown := slices.DeleteFunc(printed(), func(line string) bool { return line == refused })
	require.Len(t, shown, 10, "each state is shown once, although two destinations deliver it")
}
