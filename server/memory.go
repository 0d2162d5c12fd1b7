package server

import (
	"cmp"

	"github.com/dlrloop/dlrloop/config"
)

// shares says how the configured memory.limit is divided: each field is the number of bytes that one part of dlrloop
// may use. The rest is for API reads, the database's bookkeeping and garbage. docs/architecture.md has a table of all
// shares. A store in PostgreSQL gets the sum of the fields queue, backlog and step as its only limit.
type shares struct {
	bodies  int64 // 1/4 (public.memory): bodies of callbacks in flight, until they are recorded
	queue   int   // 1/16: arrivals that wait for a commit
	backlog int   // 1/16: arrivals that are durable but not folded yet
	step    int   // 1/8, at most maxStep: rows and pages of one fold step
	events  int64 // 1/16: events that wait for destinations
	feed    int64 // 1/16: large events that are sent to readers of the feed
	heap    int64 // 4/5: everything that Go's runtime manages, including the above
}

// maxStep limits the memory for one transaction that applies reports to the state, in bytes. A higher memory.limit does
// not raise it.
const maxStep = 64 << 20

// sharesOf returns how many bytes of the configured memory limit each part of dlrloop may use. If no limit is
// configured, it divides config.DefaultMemory.
func sharesOf(c *config.Config) shares {
	limit := int64(cmp.Or(c.Memory.Limit, config.DefaultMemory)) // 0 only if config.Load did not load c
	return shares{
		bodies:  cmp.Or(int64(c.Public.Memory), limit/4),
		queue:   int(limit / 16),
		backlog: int(limit / 16),
		step:    int(min(limit/8, maxStep)),
		events:  limit / 16,
		feed:    limit / 16,
		heap:    limit / 5 * 4,
	}
}
