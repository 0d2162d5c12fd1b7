package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile returns files of the maximum size that are not configurations, named by what makes them large.
func hostile() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, (maxFile-100)/len(s)) }
	var stairs, names strings.Builder
	for i := range 1400 {
		fmt.Fprintf(&stairs, "%sa:\n", strings.Repeat(" ", i))
	}
	for i := range 60_000 {
		fmt.Fprintf(&names, "k%d: 1\n", i)
	}
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 30; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 8), i-1)
	}
	user := "{username: u, password: p}"
	return map[string]string{
		"flow lists": "plans: " + fill("["), "closed flow lists": "plans: " +
			strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000),
		"flow blocks": "plans: " + fill("{a: "), "mixed": fill("[{a: "), "stairs": stairs.String(), "dashes": fill("- "),
		"questions": fill("? "),
		"same key":  fill("a: 1\n"), "keys": names.String(), "keys in a plan": "plans:\n  - id: a\n" + fill("    a: 1\n"),
		"literals":     fill("a: |\n  x\n"),
		"keys in flow": "log: {" + fill("a: 1,") + "}", "a list": "plans: [" + fill("{},") + "]",
		"a long list": "plans:\n" + fill("- a\n"),
		"numbers":     "plans: [" + fill("1,") + "]", "tags": "log: " + fill("!t ") + "x",
		"anchors": "log: " + fill("&t ") + "x", "aliases": "log: " + fill("*t "),
		"quotes": fill(`"`), "quoted": fill(`"a" `), "colons": fill("a: "), "comments": fill("#\n"),
		"documents": fill("---\n"), "lines": fill("\n"),
		"a long line": "log: " + fill("x"), "a long text": "log: \"" + fill("x") + "\"", "commas": fill(","),
		"directives": fill("%a\n"),
		"laughs":     laughs + "plans: *a29\n", "laughs in a plan": laughs + "plans: [{id: *a29}]\n",
		"itself": "a: &a [" + fill("*a,") + "]\nplans: *a\n",
		"multiplied": "a: &a [" + strings.Repeat(user+",", 4900) +
			"]\nb: &b {id: x, webhook: {auth: {basic: *a}}}\nplans: [" + strings.Repeat("*b,", 4900) + "]\n",
		"merged": "a: &a {id: x, region: eu}\nplans: [" + fill("{<<: *a},") + "]\n",
	}
}

// TestLoadBoundsItsMemory loads each hostile file, and some as a list in a variable. It checks the bytes allocated,
// which bound the bytes in use.
func TestLoadBoundsItsMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	const most = 256 << 20 // bytes allocated by one load; without the limits one took 5.6 GB
	files := hostile()
	for name, content := range hostile() { // and the longest start of each that passes checkYAML's first limit
		n := sort.Search(len(content), func(n int) bool { return marks(content[:n]) > maxMarks-1 })
		files[name+", cut"] = content[:n]
	}
	for name, content := range files {
		path := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		loadsWithin(t, name, most, func() error { _, err := Load(path, nil); return err })
	}
	for _, name := range []string{"flow lists", "keys", "aliases", "dashes"} {
		list := "DLRLOOP_PUBLIC_TRUSTED_PROXIES=[" + files[name][:128<<10] // Linux's limit
		loadsWithin(t, name, most, func() error { _, err := load(t, minimal, list); return err })
	}
}

// loadsWithin checks that a load fails with a short error and allocates less than most bytes.
func loadsWithin(t *testing.T, name string, most uint64, load func() error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := load()
	runtime.ReadMemStats(&after)
	var problems Problems
	require.ErrorAs(t, err, &problems, name)
	require.LessOrEqual(t, len(problems), maxProblems, name)
	require.Less(t, len(err.Error()), 1<<20, name)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, most>>20, "%s: MB", name)
	require.Less(t, after.StackSys>>20, uint64(64), "%s: MB of stack", name)
}

func TestLimitsAreReportedWithThePlace(t *testing.T) {
	for content, want := range map[string]string{
		"plans:\n  " + strings.Repeat("[", 40) + "\n": "config.yaml:2:34: is nested more than 32 levels deep, the " +
			"limit for a configuration",
		strings.Repeat("a: 1\n", 1001): "config.yaml:1001:2: is a block of more than 1000 keys, the " +
			"limit for a configuration",
		"plans: [" + strings.Repeat("{},", 5001) + "]": "config.yaml:1:8: plans: has more than 5000 entries, the " +
			"limit for a configuration",
		strings.Repeat(",", maxMarks+1): "config.yaml: is too large: it has more than 100000 " +
			"punctuation marks and line breaks",
	} {
		got, _ := refused(t, content, nil)
		require.Equal(t, want, got)
	}
}

func TestAThousandPlansAreAccepted(t *testing.T) {
	content := "plans:\n"
	for i := range 1000 {
		content += fmt.Sprintf("  - id: plan-%d\n    region: eu\n    token: tok\n    webhook:\n      auth:\n        "+
			"hmac: {secrets: [\"a\", \"b\"], max_age: 2d}\n"+
			"    feedback: {workers: 8, rate: 50, backoff: {base: 2s, cap: 1m}}\n", i)
	}
	c, err := load(t, content)
	require.NoError(t, err)
	require.Len(t, c.Plans, 1000)
}
