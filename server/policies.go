package server

import (
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
)

// Policies returns the store's policy for each service plan. Commands that open the store without a server need them.
func Policies(c *config.Config) store.Policies { return policiesOf(c) }
