package schema

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// anyPart draws a plan, batch id or number: opaque, sometimes long, and with bytes that end parts of keys.
func anyPart() *rapid.Generator[string] {
	return rapid.OneOf(
		storetest.AnyText(),
		rapid.Custom(func(t *rapid.T) string {
			letter := rapid.SampledFrom([]string{"a", "\x00", "\xff", "é"}).Draw(t, "letter")
			return strings.Repeat(letter, rapid.IntRange(1, 600).Draw(t, "times"))
		}),
	)
}

func TestKeysAreUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, other := anyPart().Draw(t, "plan"), anyPart().Draw(t, "other plan")
		id, otherID := anyPart().Draw(t, "id"), anyPart().Draw(t, "other id")
		a, b := store.BatchKey{Plan: plan, BatchID: id}, store.BatchKey{Plan: other, BatchID: otherID}
		require.Equal(t, a == b, bytes.Equal(IDKey(a), IDKey(b)))
		require.Equal(t, id == otherID, bytes.Equal(RecipientKey(1, id), RecipientKey(1, otherID)))
		require.Equal(t, id == otherID, bytes.Equal(NumberKey(1, id), NumberKey(1, otherID)))
		for _, key := range [][]byte{IDKey(a), RecipientKey(1, id), NumberKey(1, id), DueKey(plan, time.Time{}, 1)} {
			require.LessOrEqual(t, len(key), 800, "bbolt's limit for a key is 32 KiB")
		}
	})
}

// The key prefix of one plan or recipient must not be a prefix of a key of another.
func TestPrefixOfOneIsNotAPrefixOfAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, other := anyPart().Draw(t, "plan"), anyPart().Draw(t, "other plan")
		n := Number(rapid.Uint64().Draw(t, "number"))
		due := storetest.AnyTime().Draw(t, "due")
		require.Equal(t, plan == other, bytes.HasPrefix(DueKey(other, due, n), AppendPlan(nil, plan)))
		require.Equal(t, plan == other, bytes.HasPrefix(deadKey(other, n), AppendPlan(nil, plan)))

		prefix, key := NumberPrefix(n.Day(), plan), NumberKey(n, other)
		require.Equal(t, plan == other, bytes.HasPrefix(key, prefix) && len(key) == len(prefix)+8)
	})
}

func TestAppendPartHashesOnlyWhenNecessary(t *testing.T) {
	for _, c := range []struct {
		name, part string
		hashed     bool
	}{
		{"empty", "", false},
		{"plain", "01FC66621XXXXX119Z8PMV1QPQ", false},
		{"of the maximum length", strings.Repeat("x", 64), false},
		{"too long", strings.Repeat("x", 65), true},
		{"with a zero byte", "a\x00b", true},
		{"like a hash", "\xffdeadbeef", true},
		{"with 0xff elsewhere", "a\xff", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			part := AppendPart([]byte("before"), c.part, 64)[len("before"):]
			require.Equal(t, c.hashed, Hashed(c.part, 64))
			if !c.hashed {
				require.Equal(t, c.part, string(part))
				return
			}
			require.Len(t, part, 65)
			require.Equal(t, byte(0xff), part[0])
			require.NotContains(t, string(part), "\x00")
			require.Equal(t, part, AppendPart(nil, c.part, 64))
			require.NotEqual(t, part, AppendPart(nil, string(part), 64),
				"a text that looks like a hash is hashed itself")
		})
	}
}

func TestKeysSortByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		early, late := storetest.AnyTime().Draw(t, "early"), storetest.AnyTime().Draw(t, "late")
		if late.Before(early) {
			early, late = late, early
		}
		if early.Equal(late) {
			return
		}
		n, m := Number(rapid.Uint64().Draw(t, "one")), Number(rapid.Uint64().Draw(t, "another"))
		require.Negative(t, bytes.Compare(DueKey("plan", early, n), DueKey("plan", late, m)))
		if late.Before(time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)) {
			require.Less(t, NumberAt(early), NumberAt(late))
			require.LessOrEqual(t, NumberAt(early).Day(), NumberAt(late).Day())
		}
		require.Equal(t, n < m, bytes.Compare(n.Key(), m.Key()) < 0)
	})
}

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Number(rapid.Uint64().Draw(t, "number"))
		plan := rapid.StringN(0, 40, 200).Draw(t, "plan")
		due := time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "due")).UTC()
		require.Equal(t, due, DueOf(DueKey(plan, due, n)))
		require.Equal(t, n, TrailingNumber(DueKey(plan, due, n)))
		require.Equal(t, n, TrailingNumber(deadKey(plan, n)))
		require.Equal(t, n, NumberOf(RecipientKey(n, plan)))
		require.Equal(t, n, TrailingNumber(NumberKey(n, plan)))
		require.Equal(t, NumberKey(n, plan), append(NumberPrefixOf(n, RecipientKey(n, plan)), n.Key()...))

		status := rapid.SampledFrom(dlr.Statuses()).Draw(t, "status")
		k := fold.MinuteKey{Minute: due.Truncate(time.Minute), Plan: plan, Status: status}
		if Hashed(plan, 200) {
			return // a configured plan is never that long
		}
		require.Equal(t, k, MinuteOf(MinuteKey(k)))
	})
}

func TestKeysOfZeroTime(t *testing.T) {
	require.Equal(t, Number(0), NumberAt(time.Time{}))
	require.Equal(t, uint32(0), NumberAt(time.Time{}).Day())
	require.Equal(t, time.UnixMilli(0).UTC(), DueOf(DueKey("plan", time.Time{}, 1)))
	require.Equal(t, time.UnixMilli(0).UTC(), MinuteOf(MinuteKey(fold.MinuteKey{})).Minute,
		"a timeseries without a start begins at the first minute")
	require.Equal(t, Number(0), NumberOf([]byte("short")))
	require.Equal(t, Number(0), TrailingNumber(nil))
}

func TestDayOfANumber(t *testing.T) {
	lastMoment := time.Date(2026, 8, 30, 23, 59, 59, 999e6, time.UTC)
	require.Equal(t, uint32(lastMoment.Unix()/86400), NumberAt(lastMoment).Day())
	require.Equal(t, NumberAt(lastMoment).Day(), (NumberAt(lastMoment) + 1<<NumberShift - 1).Day())
	require.Equal(t, NumberAt(lastMoment).Day()+1, NumberAt(lastMoment.Add(time.Millisecond)).Day())
}
