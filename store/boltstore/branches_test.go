package boltstore

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// Open must find a flipped bit in a key of a branch page and rebuild the bucket; otherwise the next write by bbolt
// would do more damage.
func TestFlippedBitInABranchPageIsMended(t *testing.T) {
	skipIfShort(t)
	path := variedStore(t)
	s := opened(t, Config{Path: path, Policies: testPolicy})
	all, err := readAll(t, s)
	require.NoError(t, err)
	want, err := json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	file := filepath.Join(path, "dlrloop.db")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	var keys [][2]int // offset and length of each key in a branch page
	editDatabase(t, path, func(tx *bolt.Tx) error {
		size := tx.DB().Info().PageSize
		for id := range len(whole) / size {
			info, err := tx.Page(id)
			if err != nil || info == nil || info.Type != "branch" {
				continue
			}
			for i := range info.Count {
				element := id*size + pageHeader + pageElement*i
				at := element + int(binary.NativeEndian.Uint32(whole[element:]))
				keys = append(keys, [2]int{at, int(binary.NativeEndian.Uint32(whole[element+4:]))})
			}
		}
		return nil
	})
	require.NotEmpty(t, keys)
	require.NoError(t, os.WriteFile(file, whole, 0o600))

	mended := 0
	random := rand.New(rand.NewPCG(8, 9))
	for range 8 * long(20) {
		key := keys[random.IntN(len(keys))]
		at, bit := key[0]+random.IntN(key[1]), random.IntN(8)
		copied := copied(t, path)
		whole[at] ^= 1 << bit
		require.NoError(t, os.WriteFile(filepath.Join(copied, "dlrloop.db"), whole, 0o600))
		whole[at] ^= 1 << bit
		var o failures
		c := Config{Path: copied, Segment: smallSegment, Policies: testPolicy, Observer: o.observer()}
		s, err := Open(t.Context(), c)
		if err != nil {
			require.ErrorContains(t, err, "the list of buckets")
			require.ErrorContains(t, err, remedy)
			continue
		}
		mended++
		got, err := readAll(t, s)
		require.NoError(t, err)
		answers, err := json.Marshal(got)
		require.NoError(t, err)
		require.Equal(t, string(want), string(answers), "byte %d bit %d: %v", at, bit, o.damage())
		require.NotEmpty(t, o.damage())
		for i := range 20 { // write to every bucket
			require.NoError(t, s.Record(t.Context(), delivered("batch "+string(rune('0'+i)), "447700900777")))
		}
		require.NoError(t, s.Close())
		editDatabase(t, copied, func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				require.NoError(t, err)
			}
			return nil
		})
		requireSound(t, copied)
		require.NoError(t, os.RemoveAll(copied))
	}
	require.Positive(t, mended)
}
