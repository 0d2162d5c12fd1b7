// Package schema defines the content of dlrloop.db: its buckets, the keys and the checksummed rows in them, and the
// indexes that follow from the rows. It encodes and decodes single rows. Only store/boltstore and its packages import
// it.
//
// Each batch gets a number with its first arrival: the milliseconds since 1970 shifted left by 20 bits, or the last
// number plus one if that is larger. Numbers rise with time and are never reused. The number is a short key prefix for
// everything that belongs to the batch, so rows written at the same time lie close together. Integers in keys are
// big-endian. An opaque part of a key (a plan, a batch id, digits) that is too long or contains a zero byte is
// replaced by its hash; the row holds the full text.
//
// Every row with content is sealed: it starts with a checksum of its bucket, key and content (see Seal). The buckets
// ids, due, buried, checks, numbers, inbound_times and inbound_numbers are indexes: Open rebuilds one whose entries do
// not match the rows. A row whose checksum does not match is corrected, rebuilt or set aside.
//
//	meta        format, journal position with the journal's salt, totals per plan, range of the event log, mark of an
//	            unfinished copy
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
//	inbound     plan length, plan, message id    → inbound message
//	inbound_times    time, key in inbound        → empty: inbound messages by the time of their callback
//	inbound_numbers  digits, 0, time, key in inbound → empty: inbound messages from or to a phone number
//	events           sequence number of the first event → compressed events of one fold step; rows that follow each
//	                 other have consecutive numbers, except where a damaged row was set aside
//	destinations     name                        → cursor, epoch, pause, last id, numbers of deferred and dead events
//	deferred         name length, name, dead, id → deferred or dead event of a destination
//	trash       batch number                     → empty: batches deleted by retention that still have rows
//	damaged     sequence                         → time, bucket, key and bytes of a damaged row; created when needed
//	mending     batch number, or "totals"        → state of an unfinished mend; created when needed
//	scrub       sequence                         → bucket with a row of zeros; only while the free pages of the file
//	                                               are being overwritten
package schema
