// Package backlog queues the durable journal frames that are not folded yet, and divides them into fold steps. New
// returns the Queue. The committer adds frames, the fold takes Work that fits into a Room, readers and Record wait.
// Measured estimates the Room of the next step from the cost of earlier steps. Only store/boltstore imports it.
package backlog
