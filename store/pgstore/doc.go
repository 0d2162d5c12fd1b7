// Package pgstore keeps delivery reports and their feedback in PostgreSQL, for any number of replicas at a time.
//
// There is no journal: a group of arrivals is folded in the transaction that makes it durable. The rows of the batches that
// it touches are locked in the order of their keys, folded in memory by store.Fold, and written back with few statements.
// Groups of different lanes are committed side by side; the arrivals of one batch always take the same lane.
//
// Every row carries a slot, a stable hash of its plan and batch id, which leads every key and index. How many slots there
// are is fixed when the schema is made. In a database that is distributed by slot (dialects Citus and Portable) a transaction stays in one:
// a group is committed slot by slot, and what is asked of all slots is asked of each, and merged here. On plain PostgreSQL
// the same read is one statement over all.
//
// Retention takes a batch out of sight first (column gone) and deletes what belongs to it in steps. News of it meanwhile ends
// that first and then starts it anew.
//
// What is asked of the database (what is due, dead, to be checked, or by which number) are columns; the rest of a row is
// its store.Batch or store.Recipient in the form of package packed.
package pgstore
