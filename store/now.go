package store

import "time"

// Now returns the current time as stores keep it: UTC, truncated to the millisecond.
func Now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
