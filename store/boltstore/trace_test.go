package boltstore

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tracedCalls are the system calls with which the child changes files or writes its output.
const tracedCalls = "openat,write,pwrite64,ftruncate,fallocate,fdatasync,fsync,renameat,renameat2,unlinkat," +
	"mkdirat,linkat,open,creat,rename,unlink,mkdir,link,pwritev,writev,truncate"

// call is a traced system call.
type call struct {
	name   string
	args   []string
	result int64 // -1 if it failed

	node    *node     // the file or directory
	changes []*change // of a write or truncation: its changes; of a sync: those it makes durable
	moves   int       // of a sync of a directory: the number of moves it makes durable
}

// event is the begin or the end of a system call.
type event struct {
	*call
	begins bool
}

// readTrace parses the output of strace -f -y -xx.
func readTrace(t *testing.T, path string) (events []event) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	type begun struct {
		call *call
		text string
	}
	unfinished := make(map[string]begun) // by thread
	for lines := bufio.NewReaderSize(file, 1<<20); ; {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return events
		}
		require.NoError(t, err)
		thread, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimLeft(text, " ")
		switch {
		case strings.HasPrefix(text, "+++"), strings.HasPrefix(text, "---"),
			strings.Contains(text, " resumed> <unfinished ...>"):
		case strings.HasSuffix(text, "<unfinished ...>"):
			text = strings.TrimSuffix(text, "<unfinished ...>")
			c := parseCall(t, text)
			unfinished[thread] = begun{c, text}
			events = append(events, event{c, true})
		case strings.HasPrefix(text, "<... "):
			b := unfinished[thread]
			require.NotNil(t, b.call, "%.200s", text)
			_, rest, _ := strings.Cut(text, " resumed>")
			if b.call.ended(t, b.text+rest) {
				events = append(events, event{b.call, false})
			}
		default:
			c := parseCall(t, text)
			events = append(events, event{c, true})
			if c.ended(t, text) {
				events = append(events, event{c, false})
			}
		}
	}
}

// parseCall parses a call's name and the arguments that are known when it begins.
func parseCall(t *testing.T, text string) *call {
	t.Helper()
	name, args, ok := strings.Cut(text, "(")
	require.True(t, ok, "%.200s", text)
	args, _, _ = strings.Cut(args, ")")
	// Texts are hexadecimal, so they contain no comma or bracket.
	return &call{name: name, args: strings.Split(strings.TrimRight(args, " "), ", ")}
}

// ended parses a call's result. It returns false if the process ended during the call.
func (c *call) ended(t *testing.T, text string) bool {
	t.Helper()
	text = text[max(0, len(text)-300):]
	result := regexp.MustCompile(`\) += (\?|-?[0-9]+)`).FindStringSubmatch(text)
	require.NotNil(t, result, text)
	if result[1] == "?" {
		return false
	}
	c.result = number64(t, result[1])
	return true
}

func number64(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// descriptor returns the file descriptor in an argument like 3<path>.
func (c *call) descriptor(t *testing.T, argument int) int {
	t.Helper()
	text, _, _ := strings.Cut(c.args[argument], "<")
	return int(number64(t, text))
}

// text decodes an argument like "\x61\x62".
func (c *call) text(t *testing.T, argument int) string {
	t.Helper()
	quoted := c.args[argument]
	require.True(t, strings.HasPrefix(quoted, `"`) && strings.HasSuffix(quoted, `"`), "%.100s", quoted)
	return decoded(t, quoted[1:len(quoted)-1])
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	decoded, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	require.NoError(t, err)
	return string(decoded)
}

// replay applies an event to the disk, and the child's output to w.
func (d *diskModel) replay(t *testing.T, e event, w *transcript) {
	t.Helper()
	if e.begins {
		d.inFlight[e.call] = true
		d.begin(t, e.call, w)
		return
	}
	delete(d.inFlight, e.call)
	d.end(t, e.call)
}

func (d *diskModel) begin(t *testing.T, c *call, w *transcript) {
	t.Helper()
	switch c.name {
	case "write":
		if c.descriptor(t, 0) == 1 {
			w.add(strings.TrimSuffix(c.text(t, 1), "\n"))
			return
		}
		if f := d.open[c.descriptor(t, 0)]; f != nil {
			c.writes(t, f.node, f.offset)
			f.offset += int64(len(c.changes[0].content))
		}
	case "pwrite64":
		if f := d.open[c.descriptor(t, 0)]; f != nil {
			c.writes(t, f.node, number64(t, c.args[3]))
		}
	case "fsync", "fdatasync":
		f := d.open[c.descriptor(t, 0)]
		require.NotNil(t, f, "sync of a file that is not open")
		c.node, c.moves = f.node, len(f.node.moves)
		for _, change := range f.node.changes {
			if change.done {
				c.changes = append(c.changes, change)
			}
		}
	}
}

// writes records the begin of a write to n: from now on any part of it may be on disk.
func (c *call) writes(t *testing.T, n *node, offset int64) {
	t.Helper()
	c.node, c.changes = n, []*change{{offset: offset, content: []byte(c.text(t, 1))}}
	n.changes = append(n.changes, c.changes...)
}

func (d *diskModel) end(t *testing.T, c *call) {
	t.Helper()
	if c.result < 0 {
		// After a failed sync the kernel may drop the changes, and the effect of a failed write is undefined.
		if c.node != nil {
			c.node.forget(c.changes)
		}
		return
	}
	switch c.name {
	case "openat":
		d.opened(t, c)
	case "write", "pwrite64":
		if c.node != nil {
			require.Len(t, c.changes[0].content, int(c.result), "a short write")
			c.changes[0].done = true
		}
	case "ftruncate":
		if f := d.open[c.descriptor(t, 0)]; f != nil {
			f.node.changes = append(f.node.changes, &change{offset: number64(t, c.args[1]), resize: true, done: true})
		}
	case "fsync", "fdatasync":
		c.node.sync(c.changes, c.moves)
	case "mkdirat":
		if dir, name, _ := d.find(c.text(t, 1)); dir != nil {
			dir.move(map[string]*node{name: newDirNode()})
		}
	case "unlinkat":
		if dir, name, _ := d.find(c.text(t, 1)); dir != nil {
			dir.move(map[string]*node{name: nil})
		}
	case "renameat", "linkat":
		from, oldName, moved := d.find(c.text(t, 1))
		to, newName, _ := d.find(c.text(t, 3))
		require.True(t, from != nil && from == to, "a file is renamed only within its directory")
		names := map[string]*node{newName: moved}
		if c.name == "renameat" {
			names[oldName] = nil
		}
		from.move(names)
	default:
		require.Fail(t, "replay does not support this system call", c.name)
	}
}

func (d *diskModel) opened(t *testing.T, c *call) {
	t.Helper()
	delete(d.open, int(c.result))
	dir, name, found := d.find(c.text(t, 1))
	if found == nil && dir != nil && strings.Contains(c.args[2], "O_CREAT") {
		found = &node{}
		dir.move(map[string]*node{name: found})
	}
	if found == nil {
		return
	}
	if strings.Contains(c.args[2], "O_TRUNC") {
		found.changes = append(found.changes, &change{resize: true, done: true})
	}
	d.open[int(c.result)] = &descriptor{node: found}
}
