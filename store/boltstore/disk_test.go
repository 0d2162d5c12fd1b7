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

// sector is the number of bytes that a disk writes atomically.
const sector = 512

// diskModel models what a power loss may leave of a directory: everything that was synced, and any part of what was
// not.
type diskModel struct {
	base string // path of the directory
	root *node
	// State of the running process.
	open     map[int]*descriptor
	inFlight map[*call]bool // system calls that have not returned
}

type descriptor struct {
	node   *node
	offset int64
}

// node is a file or a directory.
type node struct {
	// Of a file.
	content []byte    // the synced content
	changes []*change // not synced, in order

	// Of a directory. All maps are nil for a file.
	names map[string]*node   // as processes see it
	kept  map[string]*node   // as synced
	moves []map[string]*node // not synced, in order. Each maps names added to nodes, names removed to nil; it is atomic
}

// change is a write to a file or a change of its size.
type change struct {
	offset  int64
	content []byte
	resize  bool // sets the size to offset
	done    bool // the system call has returned
}

func (c *change) end() int64 { return c.offset + int64(len(c.content)) }

func newDisk(base string) *diskModel {
	d := &diskModel{base: base, root: newDirNode()}
	d.nextProcess(false)
	return d
}

// nextProcess ends the running process. Writes in flight may have had no effect. If failed is set, a sync has failed:
// the kernel drops all unsynced writes, although the next process still reads them from its cache. It returns the
// number of dropped writes.
func (d *diskModel) nextProcess(failed bool) (forgotten int) {
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

func newDirNode() *node {
	return &node{names: make(map[string]*node), kept: make(map[string]*node)}
}

// find returns the directory that contains path, its name there, and the node with that name. All are zero for a path
// outside the disk.
func (d *diskModel) find(path string) (dir *node, name string, found *node) {
	rest, ok := strings.CutPrefix(path, d.base)
	if !ok {
		return nil, "", nil
	}
	if rest = strings.Trim(rest, "/"); rest == "" {
		return nil, "", d.root
	}
	dir = d.root
	parts := strings.Split(rest, "/")
	for _, part := range parts[:len(parts)-1] {
		if dir = dir.names[part]; dir == nil {
			return nil, "", nil
		}
	}
	name = parts[len(parts)-1]
	return dir, name, dir.names[name]
}

// move adds and removes names of a directory atomically.
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

// sync makes durable what was done before the sync began: changes, or the first moves of a directory.
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

// forget removes changes from those that may still reach the disk.
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

// loss decides what a power loss leaves of unsynced changes.
type loss struct {
	name string
	// sectors takes the number of changes of a file. The result reports whether a change reached a sector.
	sectors func(changes int) func(change int, sector int64) bool
	// prefix takes a number of moves or size changes and returns how many of them, from the first, reached the disk.
	prefix func(n int) int
}

// losses returns one loss of each kind.
func losses(r *rand.Rand) []loss {
	some := func(n int) int { return r.IntN(n + 1) }
	always := func(reached bool) func(int) func(int, int64) bool {
		return func(int) func(int, int64) bool { return func(int, int64) bool { return reached } }
	}
	return []loss{
		{"nothing", always(false), func(int) int { return 0 }},
		{"everything", always(true), func(n int) int { return n }},
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
		{"some sectors", func(int) func(int, int64) bool {
			return func(int, int64) bool { return r.IntN(2) == 0 }
		}, some},
	}
}

// image is the content of a directory after a loss; a directory comes before the files in it.
type image []file

type file struct {
	path    string
	dir     bool
	content []byte
}

// image returns the content of the disk after a loss.
func (d *diskModel) image(l loss) image { return d.root.image(nil, "", l) }

func (n *node) image(i image, path string, l loss) image {
	if n.names == nil {
		return append(i, file{path: path, content: n.left(l)})
	}
	i = append(i, file{path: path, dir: true})
	names := maps.Clone(n.kept)
	for _, m := range n.moves[:l.prefix(len(n.moves))] {
		apply(names, m)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i = names[name].image(i, filepath.Join(path, name), l)
	}
	return i
}

// sum returns a hash of the image.
func (i image) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range i {
		_, _ = fmt.Fprintf(h, "%q %t %d ", f.path, f.dir, len(f.content))
		_, _ = h.Write(f.content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// write writes the image to a new directory.
func (i image) write(t *testing.T, dir string) {
	t.Helper()
	for _, f := range i {
		path := filepath.Join(dir, f.path)
		if f.dir {
			require.NoError(t, os.Mkdir(path, 0o700))
			continue
		}
		require.NoError(t, os.WriteFile(path, f.content, 0o600))
	}
}

// left returns the content of a file after a loss. If a write reached a sector, all earlier writes to it did, too,
// because the sector is written from the page cache, which has them.
func (n *node) left(l loss) []byte {
	sizes := []int64{int64(len(n.content))}
	touched := make(map[int64][]int) // indexes of the changes, by sector
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

// applyIn applies the part of a write that is in sector s.
func (c *change) applyIn(content []byte, s int64) {
	from, to := max(c.offset, s*sector), min(c.end(), (s+1)*sector)
	copy(content[from:to], c.content[from-c.offset:to-c.offset])
}
