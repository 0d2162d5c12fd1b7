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
// The journal is package store/journal. The buckets and rows of dlrloop.db are package internal/schema.
package boltstore
