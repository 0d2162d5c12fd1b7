package metrics

import (
	"sync"
	"sync/atomic"
)

// lazySeries holds numbered series. Each series is created at its first use; later uses find it without a lock.
type lazySeries[S any] struct {
	found  []atomic.Pointer[S]
	mu     *sync.Mutex        // serializes create
	create func(number int) S // called once for each number
}

func newLazySeries[S any](n int, create func(number int) S) lazySeries[S] {
	return lazySeries[S]{found: make([]atomic.Pointer[S], n), mu: new(sync.Mutex), create: create}
}

func (c *lazySeries[S]) at(number int) *S {
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

// byTwoLabels finds series by two labels, whose values are numbered.
type byTwoLabels[S any] struct {
	columns int
	lazySeries[S]
}

func newByTwoLabels[S any](rows, columns int, create func(row, column int) S) *byTwoLabels[S] {
	return &byTwoLabels[S]{columns, newLazySeries(rows*columns, func(n int) S { return create(n/columns, n%columns) })}
}

func (g *byTwoLabels[S]) at(row, column int) S { return *g.lazySeries.at(row*g.columns + column) }

// byLabel finds series by one label with a closed set of values, which may include other.
type byLabel[T ~string, S any] struct {
	values []T
	index  index[T]
	lazySeries[S]
}

func newByLabel[T ~string, S any](values []T, create func(labels ...string) S) *byLabel[T, S] {
	series := newLazySeries(len(values), func(n int) S { return create(string(values[n])) })
	return &byLabel[T, S]{values, indexOf(values), series}
}

func (c *byLabel[T, S]) of(v T) S { return *c.at(c.index.of(v)) }

// createAll creates the series of all values except other.
func (c *byLabel[T, S]) createAll() {
	for i, v := range c.values {
		if v != other {
			c.at(i)
		}
	}
}

// forEach calls do with every series that exists.
func (c *byLabel[T, S]) forEach(do func(S)) {
	for i := range c.found {
		if s := c.found[i].Load(); s != nil {
			do(*s)
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

// of returns the number of a value, or that of other if the value is not in the set.
func (x index[T]) of(v T) int {
	if i, known := x[v]; known {
		return i
	}
	return x[other]
}
