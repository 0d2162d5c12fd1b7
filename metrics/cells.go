package metrics

import (
	"sync"
	"sync/atomic"
)

// cells are series by number. Each exists from its first use on, and is then found without a lock.
type cells[S any] struct {
	found  []atomic.Pointer[S]
	mu     *sync.Mutex        // of create
	create func(number int) S // called once for each number
}

func newCells[S any](n int, create func(number int) S) cells[S] {
	return cells[S]{found: make([]atomic.Pointer[S], n), mu: new(sync.Mutex), create: create}
}

func (c *cells[S]) at(number int) *S {
	if s := c.found[number].Load(); s != nil {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.found[number].Load(); s != nil {
		return s
	}
	s := c.create(number)
	c.found[number].Store(&s)
	return &s
}

// grid finds series by two labels, whose values are numbered.
type grid[S any] struct {
	columns int
	cells[S]
}

func newGrid[S any](rows, columns int, create func(row, column int) S) *grid[S] {
	return &grid[S]{columns, newCells(rows*columns, func(n int) S { return create(n/columns, n%columns) })}
}

func (g *grid[S]) at(row, column int) S { return *g.cells.at(row*g.columns + column) }

// choice finds series by one label with a closed set of values, which may have other among them.
type choice[T ~string, S any] struct {
	values []T
	index  index[T]
	cells[S]
}

func newChoice[T ~string, S any](values []T, create func(labels ...string) S) *choice[T, S] {
	return &choice[T, S]{values, indexOf(values), newCells(len(values), func(n int) S { return create(string(values[n])) })}
}

func (c *choice[T, S]) of(v T) S { return *c.at(c.index.of(v)) }

// exist makes all values exist but other.
func (c *choice[T, S]) exist() {
	for i, v := range c.values {
		if v != other {
			c.at(i)
		}
	}
}

// existing calls each with every series there is.
func (c *choice[T, S]) existing(each func(S)) {
	for i := range c.found {
		if s := c.found[i].Load(); s != nil {
			each(*s)
		}
	}
}

// index numbers the values of a closed set.
type index[T ~string] map[T]int

func indexOf[T ~string](values []T) index[T] {
	x := make(index[T], len(values))
	for i, v := range values {
		x[v] = i
	}
	return x
}

// of is the number of a value, or that of other.
func (x index[T]) of(v T) int {
	if i, known := x[v]; known {
		return i
	}
	return x[other]
}
