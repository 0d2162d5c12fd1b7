package boltstore

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// TestIndexEntryOfALostInboundRowIsIgnored removes the row of an inbound message, as a mend of a damaged row does, and
// records the message again: it must be listed once, and live as long as its new row.
func TestIndexEntryOfALostInboundRowIsIgnored(t *testing.T) {
	s := opened(t, Config{Path: filepath.Join(t.TempDir(), "store")})
	record := func(at time.Time) {
		n := inboundText(t, "mo", "447700900133")
		require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: at, Entry: n}))
		_, err := s.Stats(t.Context()) // waits for the fold
		require.NoError(t, err)
	}
	record(noon)
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(schema.BucketInbound).Delete(schema.InboundKey("plan", "mo"))
	}))
	record(noon.Add(time.Hour))
	check := func() {
		for _, q := range []store.InboundQuery{{}, {Number: "447700900133"}, {Plan: "plan"}} {
			page, err := s.InboundMessages(t.Context(), q)
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
			require.Equal(t, noon.Add(time.Hour), page.Items[0].ArrivedAt)
		}
	}
	check()
	_, _, err := s.DeleteOlder(t.Context(), noon.Add(30*time.Minute), 10)
	require.NoError(t, err)
	check()
	_, _, err = s.DeleteOlder(t.Context(), noon.Add(2*time.Hour), 10)
	require.NoError(t, err)
	_, err = s.InboundMessage(t.Context(), "plan", "mo")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// TestInboundRowThatCannotBeReadIsSetAside stores a sound row whose body this version cannot read.
func TestInboundRowThatCannotBeReadIsSetAside(t *testing.T) {
	path, o := filepath.Join(t.TempDir(), "store"), new(failures)
	require.NoError(t, opened(t, Config{Path: path}).Close())
	key := schema.InboundKey("plan", "mo")
	editDatabase(t, path, func(tx *bolt.Tx) error {
		m := store.InboundMessage{
			Plan: "plan", ArrivedAt: noon, Inbound: store.Inbound{Raw: []byte(`{"type":"mo_hologram","id":"mo"}`)},
		}
		return tx.Bucket(schema.BucketInbound).Put(key, schema.SealInbound(key, &m))
	})
	s := opened(t, Config{Path: path, Observer: o.observer()})
	require.NotEmpty(t, o.damage())
	page, err := s.InboundMessages(t.Context(), store.InboundQuery{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		require.Nil(t, tx.Bucket(schema.BucketInbound).Get(key))
		require.NotNil(t, tx.Bucket(schema.BucketDamaged))
		return nil
	}))
}
