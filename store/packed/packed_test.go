package packed

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func anyRef() *rapid.Generator[store.Ref] {
	return rapid.Custom(func(t *rapid.T) store.Ref {
		return store.Ref{Chunk: rapid.Uint64().Draw(t, "chunk"), Index: rapid.Uint64().Draw(t, "index")}
	})
}

func TestValuesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number, small, text := rapid.Uint64().Draw(t, "uint"), rapid.Int().Draw(t, "int"), storetest.AnyText().Draw(t, "text")
		at, near := storetest.AnyTime().Draw(t, "time"), storetest.AnyTime().Draw(t, "near")
		yes, one := rapid.Bool().Draw(t, "bool"), rapid.Byte().Draw(t, "byte")
		status, ref := storetest.AnyStatus().Draw(t, "status"), anyRef().Draw(t, "ref")

		var p Writer
		p.Uint(number)
		p.Int(small)
		p.Text(text)
		p.Time(at)
		p.near(near, at)
		p.Bool(yes)
		p.Byte(one)
		p.status(status)
		p.ref(ref)
		p.Bytes([]byte(text))

		u := Reader{Rest: p}
		require.Equal(t, number, u.Uint())
		require.Equal(t, small, u.Int())
		require.Equal(t, text, u.Text())
		require.Equal(t, at, u.Time())
		require.Equal(t, near, u.near(at))
		require.Equal(t, yes, u.Bool())
		require.Equal(t, one, u.Byte())
		require.Equal(t, status, u.status())
		require.Equal(t, ref, u.ref())
		require.Equal(t, text, string(u.View()))
		require.NoError(t, u.Err)
		require.Empty(t, u.Rest)
	})
}

func TestReaderReturnsZeroAfterTheFirstError(t *testing.T) {
	for name, row := range map[string][]byte{
		"nothing":                    nil,
		"an unterminated varint":     bytes.Repeat([]byte{0x80}, 9),
		"a varint of 80 bits":        bytes.Repeat([]byte{0xff}, 12),
		"a text longer than the row": {5, 'a', 'b'},
		"a text of 2^63 bytes":       append(appendUvarint(math.MaxInt64), 'a'),
	} {
		t.Run(name, func(t *testing.T) {
			u := Reader{Rest: row}
			require.Empty(t, u.View())
			require.ErrorIs(t, u.Err, ErrShort)
			require.Zero(t, u.Uint())
			require.Zero(t, u.Int())
			require.Zero(t, u.Byte())
			require.Zero(t, u.Length())
			require.True(t, u.Time().IsZero())
			require.Empty(t, u.Rest)
		})
	}
}

func appendUvarint(v uint64) []byte {
	var p Writer
	p.Uint(v)
	return p
}
