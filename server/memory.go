package server

import (
	"cmp"

	"github.com/dlrloop/dlrloop/config"
)

// shares are how memory.limit is divided, in bytes. What remains is for reads of the API, the database's bookkeeping, and
// garbage. In PostgreSQL what is durable is folded: the lanes have the shares of queue, backlog and step. docs/architecture.md has
// the same table.
type shares struct {
	bodies  int64 // 1/4 (public.memory): bodies of callbacks in flight, until they are recorded
	queue   int   // 1/16: arrivals that wait for a commit
	backlog int   // 1/16: arrivals that are durable and not folded
	step    int   // 1/8, at most largestStep: rows and pages of one step of the fold
	heap    int64 // 4/5: all that Go's runtime manages, those above included
}

// largestStep keeps the memory of recipient reports where it is, however much the machine has.
const largestStep = 64 << 20

func sharesOf(c *config.Config) shares {
	limit := int64(cmp.Or(c.Memory.Limit, config.UsualMemory)) // 0 only where the configuration was not read by config.Load
	return shares{
		bodies:  cmp.Or(int64(c.Public.Memory), limit/4),
		queue:   int(limit / 16),
		backlog: int(limit / 16),
		step:    int(min(limit/8, largestStep)),
		heap:    limit / 5 * 4,
	}
}
