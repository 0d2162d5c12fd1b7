package server

import (
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
)

// Policies returns the feedback policies of the plans, for opening a store without a server.
func Policies(c *config.Config) store.Policies { return policiesOf(c) }
