package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/relay/destinations"
)

func TestEventsAreStoredIfTheFeedKeepsThem(t *testing.T) {
	c := config.Default()
	c.Plans = []config.Plan{{ID: "acme"}}
	require.True(t, policiesOf(c)("acme").Events)
	c.Events.Keep = 0
	require.False(t, policiesOf(c)("acme").Events)
}

func TestDestinationsDecideThePolicy(t *testing.T) {
	c := config.Default()
	c.Events.Keep = 0
	c.Plans = []config.Plan{{ID: "acme"}, {ID: "other"}, {ID: "third"}}
	c.Destinations = []config.Destination{
		{Name: "events", Plans: []string{"acme", "other"}},
		{Name: "callbacks", Plans: []string{"other"}, Format: destinations.FormatSinch},
	}
	for plan, want := range map[string][2]bool{"acme": {true, false}, "other": {true, true}, "third": {false, false}} {
		p := policiesOf(c)(plan)
		require.Equal(t, want, [2]bool{p.Events, p.KeepCallbacks}, plan)
		for _, public := range publicPlans(c, policiesOf(c)) {
			if public.ID == plan {
				require.Equal(t, want[1], public.KeepSignature, plan)
			}
		}
	}
	c.Destinations[1].Plans = nil
	require.True(t, policiesOf(c)("third").KeepCallbacks, "a destination without plans covers all")
}
