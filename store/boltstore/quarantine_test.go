package boltstore

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// A page of large callbacks ends early, and the next page continues there.
func TestPageOfTheQuarantineIsLimitedInBytes(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	for n := range byte(5) {
		raw := bytes.Repeat([]byte{'a' + n}, pageBytes/2)
		quarantined := store.Quarantined{Reason: dlr.NotJSON, Raw: raw}
		require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: quarantined}))
	}
	var sizes []int
	var newest []byte
	for p := (store.Paging{}); ; {
		page, err := s.Quarantine(t.Context(), p)
		require.NoError(t, err)
		sizes = append(sizes, len(page.Items))
		for _, e := range page.Items {
			newest = append(newest, e.Raw[0])
		}
		if p.Cursor = page.Next; p.Cursor == "" {
			break
		}
	}
	require.Equal(t, []int{2, 2, 1}, sizes)
	require.Equal(t, "edcba", string(newest))
}
