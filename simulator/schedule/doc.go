// Package schedule runs work at its time. Its entry points are Queue, which orders work by its due time, and Run, which
// executes due work until a context ends. It imports no other package of this module; simulator/batches and
// simulator/callbacks import it.
package schedule
