package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGeneratedFormsAreCurrent(t *testing.T) {
	want, err := generate("..")
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join("..", output))
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run: go generate ./store/pgstore")
}

func TestOneSlot(t *testing.T) {
	sql, err := oneSlot("INSERT INTO t (slot, plan) SELECT slot, plan FROM unnest($1::smallint[], $2::text[]) AS k (slot, plan)")
	require.NoError(t, err)
	assert.Equal(t, "INSERT INTO t (slot, plan) SELECT $1::smallint, plan FROM unnest($2::text[]) AS k (plan)", sql)
	sql, err = oneSlot("SELECT 1 FROM unnest($1::smallint[], $2::text[]) AS k (slot, plan) JOIN t ON t.slot = k.slot")
	require.NoError(t, err)
	assert.Equal(t, "SELECT 1 FROM unnest($2::text[]) AS k (plan) JOIN t ON t.slot = $1", sql)
	for _, invalid := range []string{
		"SELECT 1 FROM t WHERE slot = $1",
		"SELECT 1 FROM unnest($1::smallint[], $2::text[]) AS k (slot, plan) WHERE k.slot > 2",
	} {
		_, err := oneSlot(invalid)
		assert.Error(t, err, invalid)
	}
}

func TestAllSlots(t *testing.T) {
	sql, err := allSlots("\nSELECT slot, due\nFROM batch WHERE slot = $1\nORDER BY due LIMIT $2")
	require.NoError(t, err)
	assert.Equal(t, `
SELECT slot, due
FROM generate_series(0, $1::int - 1) AS s (n) CROSS JOIN LATERAL (
SELECT slot, due
FROM batch WHERE slot = s.n
ORDER BY due LIMIT $2
) e
ORDER BY due LIMIT $2`, sql)
	for _, invalid := range []string{"SELECT 1 FROM batch WHERE slot = $1", "\nSELECT 1\nFROM batch WHERE plan = $1"} {
		_, err := allSlots(invalid)
		assert.Error(t, err, invalid)
	}
}
