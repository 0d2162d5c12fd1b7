// Package pgstore keeps delivery reports and their feedback in PostgreSQL, for any number of replicas at a time.
//
// There is no journal: the transaction that makes a group of arrivals durable also folds them into the state. It
// locks the rows of the batches involved, in the order of their keys, applies fold.Fold in memory and writes the
// changed rows back with a few statements. Several lanes commit groups concurrently; the arrivals of one batch always
// take the same lane. A separate slow lane takes arrivals that need many transactions.
//
// The path of an arrival, one file a step: Record checks and queues it (commit.go, key_length.go), record chooses the
// lane (lanes.go), transact runs and repeats the transaction of a group (transact.go), load locks and reads its rows
// (load.go), fold applies the arrivals (step.go), and save writes the rows and commits (save.go, totals.go,
// quarantine.go). Open (open.go) starts a Store: it connects (connect.go, backoff.go), migrates (schema.go), and runs
// the heartbeats (replicas.go, members.go), the gauges (gauges.go) and the eviction of quarantine entries
// (quarantine_bounds.go). Only cli and server import this package.
//
// Every row has a slot, a stable hash of its plan and batch id. The slot leads every key and index. The number of
// slots is fixed when the schema is created. With the dialects Citus and Portable the tables may be distributed by
// slot, so a transaction stays in one slot: a group is committed slot by slot, and a read over all slots runs one
// statement for each slot and merges the results. On plain PostgreSQL such a read is one statement. go generate writes
// the second form of each statement (sql_forms.go).
//
// Events (Policy.Events) are appended in the transaction that causes them (event_pack.go), each lane to a stream of its
// own (event_stream.go), so that writers never wait for each other. Readers merge the streams (event_heads.go,
// event_merge.go, event_read.go) and keep a place in each of them as their cursor (event_cursor.go). event_trim.go
// deletes old events. The progress of the destinations is in destinations.go and deferred_events.go. Without events no
// statement of a commit differs.
//
// Retention first hides a batch (column gone) and then deletes its rows in several transactions. An arrival for a
// hidden batch waits until all these rows are deleted, and then starts the batch anew.
//
// Erase (erase.go) rewrites the rows that contain a phone number. It reads without locks and then changes a row only if
// it is still the same; the rows of a batch are changed under the lock of the batch (erase_batch.go).
//
// The values that queries select or sort by (due tasks, dead feedback, missing reports, numbers) have columns of
// their own. Column row holds the complete store.Batch or store.Recipient, encoded by package packed.
//
// Some stored names are older than the terms of the code: table duty holds the leader leases, replica.beat the
// heartbeat, total.awaited the missing messages, batch.check_due the time at which the report is due to be fetched,
// and batch.gone marks a hidden batch.
package pgstore
