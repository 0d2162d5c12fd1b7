// Package boltstore keeps everything on one disk: a journal for what was just recorded and one bbolt file for what
// follows from it, as a database has its write-ahead log.
//
// An arrival is acknowledged once its group is in the journal and synced. One goroutine then folds what the journal
// holds into the bbolt file, in steps: transactions that also hold the journal position reached. A crash between the two
// loses nothing, since a start folds the rest. Reads wait until what was acknowledged before them is folded. Record waits
// before it acknowledges more than the fold writes in 0.8 seconds, so a read waits for about a second at most.
//
// Memory is bounded. A step has as many rows as fit into Config.StepBytes by the measure of earlier steps; it may end inside
// a frame and inside a report, and the next one goes on there. The backlog holds Config.BacklogBytes of arrivals; the fold
// reads the others back from the journal, one frame at a time, and so does a start.
//
// The folder holds dlrloop.db and journal/. Only one process has it open.
//
// # Buckets of dlrloop.db
//
// A batch is given a number when it is first heard of: its milliseconds since 1970 shifted left by 20 bits, or one more than the last.
// Numbers rise with time, are never used twice, and are a short prefix for all that belongs to the batch, so that what is
// busy at the same time lies together. Integers in keys are big-endian. A part that is opaque and too long for a key, or
// holds a zero byte, stands there as its hash; the row has it whole.
//
// Every row that has content is sealed with the checksum of its bucket, key and content; see seal. The entries of ids, due,
// buried, checks and numbers follow from the rows: a start that finds them wrong makes them anew. A row whose seal does not
// hold is corrected, rebuilt or set aside; see mend.go and rebuild.go.
//
//	meta        format, position (how far the journal is folded, and its salt), plan totals, mark of an unfinished copy
//	ids         plan length, plan, batch id      → batch number
//	batches     batch number                     → Batch
//	recipients  batch number, digits             → Recipient
//	due         plan length, plan, due, number   → nothing: batches with a task
//	buried      plan length, plan, number        → nothing: batches with something dead
//	checks      plan length, plan, due, number   → nothing: batches to ask Sinch after
//	numbers     day, digits, 0, batch number     → nothing: which batches a number was in; by day, so that a write stays in a small part of it
//	log         batch number, chunk              → compressed reports; each step writes a larger chunk number than the last
//	minutes     minute, plan length, plan, status → messages
//	quarantine  frame, place in it               → callback
//	trash       batch number                     → nothing: batches whose content is still to be deleted
//	damaged     sequence                         → time, bucket, key, row: what was damaged; made when it is needed
//	mending     batch number, or totals          → what of a mend is not finished; made when it is needed
package boltstore
