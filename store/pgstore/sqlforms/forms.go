package main

import (
	"errors"
	"regexp"
	"strings"
)

// toOneSlot converts SQL of type keyedSQL, which takes an array of slots (hash partitions), to SQL for one slot, $1.
var toOneSlot = strings.NewReplacer(
	"unnest($1::smallint[], ", "unnest(",
	" k (slot, ", " k (",
	"SELECT slot, ", "SELECT $1::smallint, ",
	"= k.slot", "= $1",
)

// oneSlot converts SQL of type keyedSQL (see pgstore) to a form for rows that are all in one slot (hash partition), $1.
// It returns an error if the SQL is written in a way that it cannot convert.
func oneSlot(sql string) (string, error) {
	converted := toOneSlot.Replace(sql)
	if !strings.Contains(sql, "unnest($1::smallint[], ") || strings.Contains(converted, "k.slot") ||
		!strings.Contains(converted, "$1") {
		return "", errors.New("write FROM unnest($1::smallint[], …) AS k (slot, …), with = k.slot or SELECT slot, …")
	}
	return converted, nil
}

// parts matches SQL of type slotSQL. It captures the selected columns and, if present, the ORDER BY or GROUP BY line.
var parts = regexp.MustCompile(`(?s)^\nSELECT ([^\n]*)\nFROM .*?(\n(?:ORDER|GROUP) BY [^\n]*)?$`)

// allSlots converts SQL of type slotSQL (see pgstore), which reads one slot (hash partition), to a form that reads the
// slots 0 to $1 - 1. It returns an error if the SQL is written in a way that it cannot convert.
func allSlots(sql string) (string, error) {
	found := parts.FindStringSubmatch(sql)
	if found == nil || !strings.Contains(sql, "slot = $1") {
		return "", errors.New("write SELECT …, FROM … slot = $1 … and ORDER BY or GROUP BY … on lines of their own")
	}
	return "\nSELECT " + found[1] + "\nFROM generate_series(0, $1::int - 1) AS s (n) CROSS JOIN LATERAL (" +
		strings.ReplaceAll(sql, "slot = $1", "slot = s.n") + "\n) e" + found[2], nil
}
