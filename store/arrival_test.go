package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestCheckRejectsIncompleteArrivals(t *testing.T) {
	for want, a := range map[string]Arrival{
		"record: no plan":     {News: Facts{BatchID: "batch"}},
		"record: no news":     {Plan: "plan"},
		"record: no report":   {Plan: "plan", News: Report{}},
		"record: no batch id": {Plan: "plan", News: Facts{}},
	} {
		require.EqualError(t, a.Check(), want)
	}
	for _, n := range []News{Facts{BatchID: "batch"}, Report{Report: &dlr.Report{BatchID: "batch"}}, Quarantined{}} {
		require.NoError(t, Arrival{Plan: "plan", News: n}.Check())
	}
}
