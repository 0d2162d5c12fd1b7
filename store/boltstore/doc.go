// Package boltstore implements store.Store on one disk: a journal (a write-ahead log) makes arrivals durable, and one
// bbolt file holds the state that the fold computes from them.
//
// An arrival is acknowledged once the frame of its group is written to the journal and synced. One goroutine, the
// fold, applies journal frames to the bbolt file in steps. A step is one transaction, which also stores the journal
// position reached. A crash between sync and fold therefore loses nothing: Open folds the remaining frames. Reads wait
// until every arrival acknowledged before them is folded. Record delays the acknowledgement while the fold has more
// than 0.8 seconds of work left, so a read waits for about a second at most.
//
// Memory is bounded. A step takes only as many rows as fit into Config.StepBytes, estimated from earlier steps. It may
// end inside a frame, even inside a report; the next step continues there. The backlog holds up to Config.BacklogBytes
// of unfolded arrivals; the fold reads the others back from the journal, one frame at a time, and so does Open.
//
// The store's directory contains dlrloop.db and journal/. Only one process can have it open.
//
// # Buckets of dlrloop.db
//
// Each batch gets a number with its first arrival: the milliseconds since 1970 shifted left by 20 bits, or the last
// number plus one if that is larger. Numbers rise with time and are never reused. The number is a short key prefix for
// everything that belongs to the batch, so rows written at the same time lie close together. Integers in keys are
// big-endian. An opaque part of a key (a plan, a batch id, digits) that is too long or contains a zero byte is
// replaced by its hash; the row holds the full text.
//
// Every row with content is sealed: it starts with a checksum of its bucket, key and content (see seal). The buckets
// ids, due, buried, checks and numbers are indexes: Open rebuilds one whose entries do not match the rows. A row whose
// checksum does not match is corrected, rebuilt or set aside (see mend.go and rebuild.go).
//
//	meta        format, journal position with the journal's salt, totals per plan, mark of an unfinished copy
//	ids         plan length, plan, batch id      → batch number
//	batches     batch number                     → Batch
//	recipients  batch number, digits             → Recipient
//	due         plan length, plan, due, number   → empty: batches with a feedback task, by due time
//	buried      plan length, plan, number        → empty: batches with dead feedback
//	checks      plan length, plan, due, number   → empty: batches whose reports may be missing, by the time of the
//	                                               next check
//	numbers     day, digits, 0, batch number     → empty: the batches of a recipient. The day comes first, so that
//	                                               current writes touch only a small part of the bucket
//	log         batch number, chunk              → compressed raw reports; chunk numbers rise with every fold step
//	minutes     minute, plan length, plan, status → messages
//	quarantine  frame, arrival's index in it     → callback
//	trash       batch number                     → empty: batches deleted by retention that still have rows
//	damaged     sequence                         → time, bucket, key and bytes of a damaged row; created when needed
//	mending     batch number, or "totals"        → state of an unfinished mend; created when needed
package boltstore
