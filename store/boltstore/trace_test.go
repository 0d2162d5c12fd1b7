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

// tracedCalls are the system calls by which the child changes files, or speaks.
const tracedCalls = "openat,write,pwrite64,ftruncate,fallocate,fdatasync,fsync,renameat,renameat2,unlinkat,mkdirat,linkat," +
	"open,creat,rename,unlink,mkdir,link,pwritev,writev,truncate"

// call is a traced system call.
type call struct {
	name   string
	args   []string
	result int64 // -1 when it failed

	node    *node     // what it is about
	changes []*change // of a write or truncation: what it does; of a sync: what it makes durable
	moves   int       // of a sync of a folder
}

// event is the begin or the end of a call.
type event struct {
	*call
	begins bool
}

// readTrace reads what strace -f -y -xx wrote, in its order.
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
		case strings.HasPrefix(text, "+++"), strings.HasPrefix(text, "---"), strings.Contains(text, " resumed> <unfinished ...>"):
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

// parseCall reads a call's name and those arguments that are there when it begins.
func parseCall(t *testing.T, text string) *call {
	t.Helper()
	name, args, ok := strings.Cut(text, "(")
	require.True(t, ok, "%.200s", text)
	args, _, _ = strings.Cut(args, ")")
	return &call{name: name, args: strings.Split(strings.TrimRight(args, " "), ", ")} // texts are in hexadecimal: neither comma nor bracket is in them
}

// ended reads a call's result; false when the process ended in it.
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

// descriptor is the file descriptor in an argument like 3<path>.
func (c *call) descriptor(t *testing.T, argument int) int {
	t.Helper()
	text, _, _ := strings.Cut(c.args[argument], "<")
	return int(number64(t, text))
}

// text is an argument like "\x61\x62".
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

// replay takes an event into the disk, and what the child says into w.
func (d *disk) replay(t *testing.T, e event, w *witness) {
	t.Helper()
	if e.begins {
		d.inFlight[e.call] = true
		d.begin(t, e.call, w)
		return
	}
	delete(d.inFlight, e.call)
	d.end(t, e.call)
}

func (d *disk) begin(t *testing.T, c *call, w *witness) {
	t.Helper()
	switch c.name {
	case "write":
		if c.descriptor(t, 0) == 1 {
			w.hear(strings.TrimSuffix(c.text(t, 1), "\n"))
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
		require.NotNil(t, f, "a sync of a file that nobody opened")
		c.node, c.moves = f.node, len(f.node.moves)
		for _, change := range f.node.changes {
			if change.done {
				c.changes = append(c.changes, change)
			}
		}
	}
}

// writes notes that a write to n begins: from now on any part of it may be on disk.
func (c *call) writes(t *testing.T, n *node, offset int64) {
	t.Helper()
	c.node, c.changes = n, []*change{{offset: offset, content: []byte(c.text(t, 1))}}
	n.changes = append(n.changes, c.changes...)
}

func (d *disk) end(t *testing.T, c *call) {
	t.Helper()
	if c.result < 0 {
		// The kernel may forget what a failed sync should have written, and what a failed write did is its own affair.
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
		if folder, name, _ := d.find(c.text(t, 1)); folder != nil {
			folder.move(map[string]*node{name: newFolder()})
		}
	case "unlinkat":
		if folder, name, _ := d.find(c.text(t, 1)); folder != nil {
			folder.move(map[string]*node{name: nil})
		}
	case "renameat", "linkat":
		from, oldName, moved := d.find(c.text(t, 1))
		to, newName, _ := d.find(c.text(t, 3))
		require.True(t, from != nil && from == to, "files are renamed in their folder only")
		names := map[string]*node{newName: moved}
		if c.name == "renameat" {
			names[oldName] = nil
		}
		from.move(names)
	default:
		require.Fail(t, "the replay does not know this call", c.name)
	}
}

func (d *disk) opened(t *testing.T, c *call) {
	t.Helper()
	delete(d.open, int(c.result))
	folder, name, found := d.find(c.text(t, 1))
	if found == nil && folder != nil && strings.Contains(c.args[2], "O_CREAT") {
		found = &node{}
		folder.move(map[string]*node{name: found})
	}
	if found == nil {
		return
	}
	if strings.Contains(c.args[2], "O_TRUNC") {
		found.changes = append(found.changes, &change{resize: true, done: true})
	}
	d.open[int(c.result)] = &descriptor{node: found}
}
