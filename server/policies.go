package server

import (
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
)

// Policies are how the plans of a configuration earn their feedback, for whoever opens a store without serving.
func Policies(c *config.Config) store.Policies { return policiesOf(c) }
