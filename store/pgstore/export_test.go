package pgstore

import (
	"context"
	"time"
)

// Token returns the random token in this replica's row of table replica.
func (s *Store) Token() string { return s.replicas.self.token }

// DeleteStoppedReplica does what this replica does with a row of table replica that it last read with this heartbeat
// counter, long ago.
func (s *Store) DeleteStoppedReplica(ctx context.Context, token string, heartbeat int64) error {
	return s.deleteStopped(ctx, []replica{{token: token, heartbeat: heartbeat}})
}

// DropIdleStreamsAfter replaces the time after which the streams of a stopped replica are deleted.
func (s *Store) DropIdleStreamsAfter(d time.Duration) { s.idleStreams.after = d }
