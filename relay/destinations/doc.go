// Package destinations delivers the events of the event log (store.EventLog) to URLs of the application: the
// destinations. Each destination receives each event of its plans and types at least once, and the events of a batch in
// order. One replica at a time delivers.
//
// For each destination a lane (a loop with workers) reads the event log behind the destination's stored cursor into a
// window in memory, and sends from there. At most one request of a batch is in flight; the next events of the batch
// wait for it. The stored cursor passes an event once the event is delivered, deferred (stored by itself, to be retried
// later) or dead. Each deferred or dead event in the store is one that the stored cursor has passed, so after a restart
// no event is both loaded and read from the log.
//
// The lane stores this progress about once a second and when it stops, so only a crash repeats events: those delivered
// since then, and those delivered while an earlier event of another batch was still being attempted.
//
// An event that fails alone is deferred after a few attempts, and so are the later events of its batch, so that the
// cursor moves on. If the destination fails as a whole, its circuit breaker opens. Then nothing is read or deferred:
// the cursor waits, and one request at a time probes whether the destination is back.
package destinations
