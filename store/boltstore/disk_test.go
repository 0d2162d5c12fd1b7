package boltstore

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// disk knows what a power loss may leave of a folder: all that was synced, and any part of what was not.
type disk struct {
	base string // the folder's path
	root *node
	// Of the process that runs: its descriptors, and its calls that have not returned.
	open     map[int]*descriptor
	inFlight map[*call]bool
}

type descriptor struct {
	node   *node
	offset int64
}

// node is a file or a folder.
type node struct {
	content []byte    // of a file, as synced
	changes []*change // of a file, not synced, in their order

	names map[string]*node   // of a folder, as processes see it; nil for a file
	kept  map[string]*node   // of a folder, as synced
	moves []map[string]*node // of a folder, not synced, in their order: names that come or, when nil, go at once
}

// change is a write, or sets the size.
type change struct {
	offset  int64
	content []byte
	resize  bool // to offset
	done    bool // the system call has returned
}

func (c *change) end() int64 { return c.offset + int64(len(c.content)) }

func newDisk(base string) *disk {
	d := &disk{base: base, root: newFolder()}
	d.nextProcess(false)
	return d
}

// nextProcess ends the process that runs. The writes it was in may have done nothing. When the disk failed them, the kernel
// has forgotten everything that was not synced, and yet shows it to the next process.
func (d *disk) nextProcess(failed bool) (forgotten int) {
	for c := range d.inFlight {
		if c.node != nil && strings.Contains(c.name, "write") {
			c.node.forget(c.changes)
		}
	}
	if failed {
		forgotten = d.root.forgetAll()
	}
	d.open, d.inFlight = make(map[int]*descriptor), make(map[*call]bool)
	return forgotten
}

func (n *node) forgetAll() (forgotten int) {
	forgotten, n.changes = len(n.changes), nil
	for _, child := range n.names {
		forgotten += child.forgetAll()
	}
	return forgotten
}

func newFolder() *node {
	return &node{names: make(map[string]*node), kept: make(map[string]*node)}
}

// find returns the folder in which a path is, its name there, and what has that name; all zero for a path outside.
func (d *disk) find(path string) (folder *node, name string, found *node) {
	rest, ok := strings.CutPrefix(path, d.base)
	if !ok {
		return nil, "", nil
	}
	if rest = strings.Trim(rest, "/"); rest == "" {
		return nil, "", d.root
	}
	folder = d.root
	parts := strings.Split(rest, "/")
	for _, part := range parts[:len(parts)-1] {
		if folder = folder.names[part]; folder == nil {
			return nil, "", nil
		}
	}
	name = parts[len(parts)-1]
	return folder, name, folder.names[name]
}

// move changes names of a folder, all at once.
func (n *node) move(names map[string]*node) {
	apply(n.names, names)
	n.moves = append(n.moves, names)
}

func apply(names, moves map[string]*node) {
	for name, node := range moves {
		if names[name] = node; node == nil {
			delete(names, name)
		}
	}
}

// sync makes durable what was done before it began: changes, or the first moves of a folder.
func (n *node) sync(changes []*change, moves int) {
	for _, c := range changes {
		n.content = c.apply(n.content)
	}
	n.forget(changes)
	for _, m := range n.moves[:moves] {
		apply(n.kept, m)
	}
	n.moves = n.moves[moves:]
}

// forget takes changes off the list of those that may still reach the disk.
func (n *node) forget(changes []*change) {
	n.changes = slices.DeleteFunc(n.changes, func(c *change) bool { return slices.Contains(changes, c) })
}

func (c *change) apply(content []byte) []byte {
	size := max(c.end(), int64(len(content)))
	if c.resize {
		size = c.offset
	}
	content = resized(content, size)
	copy(content[min(c.offset, size):], c.content)
	return content
}

func resized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}

// loss decides what a power loss leaves of what was not synced.
type loss struct {
	name    string
	sectors func(changes int) func(change int, sector int64) bool // of a file with so many changes: whether one reached a sector
	prefix  func(n int) int                                       // how many of n moves or sizes did
}

// losses are all kinds of them.
func losses(r *rand.Rand) []loss {
	some := func(n int) int { return r.IntN(n + 1) }
	return []loss{
		{"nothing", func(int) func(int, int64) bool { return func(int, int64) bool { return false } }, func(int) int { return 0 }},
		{"everything", func(int) func(int, int64) bool { return func(int, int64) bool { return true } }, func(n int) int { return n }},
		{"the first writes", func(changes int) func(int, int64) bool {
			first := some(changes)
			return func(change int, _ int64) bool { return change < first }
		}, some},
		{"some writes", func(int) func(int, int64) bool {
			kept := make(map[int]bool)
			return func(change int, _ int64) bool {
				if _, ok := kept[change]; !ok {
					kept[change] = r.IntN(2) == 0
				}
				return kept[change]
			}
		}, some},
		{"some sectors", func(int) func(int, int64) bool { return func(int, int64) bool { return r.IntN(2) == 0 } }, some},
	}
}

// image is what a loss leaves of a folder, in its order: a folder before what is in it.
type image []file

type file struct {
	path    string
	folder  bool
	content []byte
}

// image is what a loss leaves.
func (d *disk) image(l loss) image { return d.root.image(nil, "", l) }

func (n *node) image(i image, path string, l loss) image {
	if n.names == nil {
		return append(i, file{path: path, content: n.left(l)})
	}
	i = append(i, file{path: path, folder: true})
	names := maps.Clone(n.kept)
	for _, m := range n.moves[:l.prefix(len(n.moves))] {
		apply(names, m)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i = names[name].image(i, filepath.Join(path, name), l)
	}
	return i
}

// sum is the same for equal images.
func (i image) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range i {
		_, _ = fmt.Fprintf(h, "%q %t %d ", f.path, f.folder, len(f.content))
		_, _ = h.Write(f.content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// write writes the image to a new folder.
func (i image) write(t *testing.T, folder string) {
	t.Helper()
	for _, f := range i {
		path := filepath.Join(folder, f.path)
		if f.folder {
			require.NoError(t, os.Mkdir(path, 0o700))
			continue
		}
		require.NoError(t, os.WriteFile(path, f.content, 0o600))
	}
}

// left is what a loss leaves of a file. A sector that was reached by a write has all earlier ones too: memory, from which it
// is written, had them.
func (n *node) left(l loss) []byte {
	sizes := []int64{int64(len(n.content))}
	touched := make(map[int64][]int) // the changes of each sector
	for i, c := range n.changes {
		size := max(sizes[i], c.end())
		if c.resize {
			size = c.offset
		}
		sizes = append(sizes, size)
		for s := c.offset / sector; s*sector < c.end(); s++ {
			touched[s] = append(touched[s], i)
		}
	}
	content := resized(slices.Clone(n.content), slices.Max(sizes))
	reached := l.sectors(len(n.changes))
	for _, s := range slices.Sorted(maps.Keys(touched)) {
		last := -1
		for _, i := range touched[s] {
			if reached(i, s) {
				last = i
			}
		}
		for _, i := range touched[s] {
			if i <= last {
				n.changes[i].applyIn(content, s)
			}
		}
	}
	return content[:sizes[l.prefix(len(n.changes))]]
}

// applyIn applies the part of a write that is in a sector.
func (c *change) applyIn(content []byte, s int64) {
	from, to := max(c.offset, s*sector), min(c.end(), (s+1)*sector)
	copy(content[from:to], c.content[from-c.offset:to-c.offset])
}
