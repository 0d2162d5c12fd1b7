// Package journal makes frames of bytes durable on one disk, in order: a write-ahead log. It does not know what the
// bytes mean.
//
// Open scans the segment files and returns the frames that the database has not folded yet. Append writes one frame
// and syncs it. Release tells the journal which frames are folded, so that their segments are used again. The size of
// all segments is bounded: while unfolded frames fill them, Append blocks and then returns ErrFull. Scrub overwrites
// folded frames with zeros.
//
// Opening tells a torn write from damage. The last frame may be torn, because it was never acknowledged. Any other
// frame that is missing or damaged is an error, and Open changes nothing.
//
// Only store/boltstore imports this package.
package journal
