package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
)

func TestEventsAreStoredIfTheFeedKeepsThem(t *testing.T) {
	c := config.Default()
	c.Plans = []config.Plan{{ID: "acme"}}
	require.True(t, policiesOf(c)("acme").Events)
	c.Events.Keep = 0
	require.False(t, policiesOf(c)("acme").Events)
}
