package server

import (
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
)

// Policies returns the store's policy for each service plan in the configuration. A command that opens the store
// without a Server must set them in the store's own configuration.
func Policies(c *config.Config) store.Policies { return policiesOf(c) }
