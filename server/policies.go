package server

import (
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
)

// Policies returns the feedback policy of each plan. Commands that open the store without a server need the policies.
func Policies(c *config.Config) store.Policies { return policiesOf(c) }
