package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const guide = "../../docs/api.md"

// TestGuide sends every request in docs/api.md, in order, to a listener with the sample data, and requires the answers
// in the guide. With DLRLOOP_UPDATE=1 it writes the answers into the guide instead.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile(guide)
	require.NoError(t, err)
	s := serveSample(t)
	shown := regexp.MustCompile("(?s)```console\n(.*?)```\n")
	require.Greater(t, len(shown.FindAll(text, -1)), 10)
	real := shown.ReplaceAllFunc(text, func(block []byte) []byte {
		command := commandOf(string(shown.FindSubmatch(block)[1]))
		return []byte("```console\n" + command + "\n" + s.run(t, command) + "\n```\n")
	})
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		require.NoError(t, os.WriteFile(guide, real, 0o644))
		return
	}
	require.Equal(t, string(real), string(text), "docs/api.md shows outdated answers; DLRLOOP_UPDATE=1 updates it")
}

// commandOf returns the command of a block: its first line and the lines that continue it, after a backslash or within
// quotes.
func commandOf(block string) string {
	lines := strings.SplitAfter(block, "\n")
	n := 1
	for n < len(lines) && (strings.HasSuffix(lines[n-1], "\\\n") ||
		strings.Count(strings.Join(lines[:n], ""), "'")%2 == 1) {
		n++
	}
	return strings.TrimSuffix(strings.Join(lines[:n], ""), "\n")
}

// run sends the request of a curl command and returns the formatted answer.
func (s server) run(t *testing.T, command string) string {
	t.Helper()
	method, body, header := http.MethodGet, "", http.Header{}
	args := regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(strings.ReplaceAll(command, "\\\n", ""), -1)
	word := func(i int) string { return args[i][1] + args[i][2] }
	require.Equal(t, "$ curl", word(0)+" "+word(1))
	var target string
	for i := 2; i < len(args) && word(i) != "|"; i++ {
		switch w := word(i); w {
		case "-s":
		case "-X":
			i++
			method = word(i)
		case "--json", "--data-binary":
			i++
			method, body = http.MethodPost, word(i)
		case "-H":
			i++
			name, value, _ := strings.Cut(word(i), ": ")
			header.Set(name, value)
		default:
			require.False(t, strings.HasPrefix(w, "-"), "this test does not support the option %s", w)
			target = w
		}
	}
	address, isLocal := strings.CutPrefix(target, "localhost:8081")
	require.True(t, isLocal, target)
	a := s.call(t, method, address, body, header)
	return steady(fold(t, a.Content, ""))
}

// fold formats JSON in lines of at most 140 characters. A value that fits into one line is not broken.
func fold(t *testing.T, value json.RawMessage, indent string) string {
	t.Helper()
	var line bytes.Buffer
	require.NoError(t, json.Compact(&line, value))
	short := regexp.MustCompile(`("(?:[^"\\]|\\.)*")|([:,])`).ReplaceAllString(line.String(), "$1$2 ")
	short = regexp.MustCompile(`" ([:,}\]])`).ReplaceAllString(short, `"$1`)
	if len(indent)+len(short) <= 140 || !strings.ContainsAny(short[:1], "{[") {
		return strings.TrimSpace(short)
	}
	d := json.NewDecoder(&line)
	open, err := d.Token()
	require.NoError(t, err)
	var lines []string
	for d.More() {
		key := ""
		if open == json.Delim('{') {
			k, err := d.Token()
			require.NoError(t, err)
			key = `"` + k.(string) + `": `
		}
		var member json.RawMessage
		require.NoError(t, d.Decode(&member))
		lines = append(lines, indent+"  "+key+fold(t, member, indent+"  "))
	}
	return short[:1] + "\n" + strings.Join(lines, ",\n") + "\n" + indent + map[string]string{
		"{": "}",
		"[": "]",
	}[short[:1]]
}

// steady replaces values that depend on the store's file layout.
func steady(answer string) string {
	answer = regexp.MustCompile(`("(?:size|free)_bytes": *)\d+`).ReplaceAllString(answer, "${1}131072")
	return regexp.MustCompile(`("next_cursor": *)"[^"]+"`).ReplaceAllString(answer, `${1}"Gcrg_YgAAAA"`)
}
