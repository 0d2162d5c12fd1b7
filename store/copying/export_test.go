package copying

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// place is a position in an export of these tests.
type place struct {
	Section
	Entry int `json:"entry,omitempty"`
}

// exported returns the minutes that an export passes on from a position, and the positions after its pieces. Each
// section has three minutes: 10, 11 and 12 in section 1, for example. A piece holds one of them.
func exported(t *testing.T, from string) (minutes []int, next []string) {
	t.Helper()
	a := &Assembly{Each: func(p Piece) error {
		for _, m := range p.Minutes {
			minutes = append(minutes, m.Messages)
		}
		next = append(next, string(p.Next))
		return nil
	}}
	read := func(at place) error {
		for ; at.Entry < 3; at.Entry++ {
			a.Minute(store.MinuteCount{Messages: 10*at.In() + at.Entry})
			a.size = pieceEntries
			after := place{at.Section, at.Entry + 1}
			if err := a.FlushFull(t.Context(), func() any { return after }); err != nil {
				return err
			}
		}
		return nil
	}
	start := func(s Section) place { return place{Section: s} }
	require.NoError(t, Export(a, []byte(from), start, [5]func(place) error{read, read, read, read, read}))
	return minutes, next
}

func TestExportContinuesAtEveryPosition(t *testing.T) {
	all, next := exported(t, "")
	require.Equal(t, []int{0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42}, all)
	require.Equal(t, `{"section":0,"entry":1}`, next[0], "the form in the marks of older versions")
	for i, from := range next {
		rest, _ := exported(t, from)
		require.Equal(t, all[i+1:], append([]int{}, rest...), "from %s", from)
	}
}

func TestExportRefusesAPositionThatIsNotJSON(t *testing.T) {
	err := Export(&Assembly{}, []byte("?"), func(Section) place { return place{} }, [5]func(place) error{})
	require.ErrorContains(t, err, `position "?": invalid character`)
}

func TestExportReturnsTheErrorOfASection(t *testing.T) {
	broken := errors.New("broken")
	fails := func(place) error { return broken }
	err := Export(&Assembly{}, nil, func(Section) place { return place{} }, [5]func(place) error{fails})
	require.ErrorIs(t, err, broken)
}
