package server

import (
	"crypto/rand"
	"os"
	"strings"

	"github.com/dlrloop/dlrloop/config"
)

// replicaOf is the id of this replica: what the configuration says; else, where the store can be shared, the host's name and a suffix
// that no other replica is likely to have; else none.
func replicaOf(c *config.Config) string {
	if c.Store.Driver != config.DriverPostgres || c.Replica != "" {
		return c.Replica
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return newReplica(host, rand.Text())
}

// The lengths of what a replica's id is made of.
const (
	hostLetters   = 40
	suffixLetters = 4
)

// newReplica cuts the host's name at the first dot and to what logs and labels carry.
func newReplica(host, random string) string {
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, name)
	if name = name[:min(len(name), hostLetters)]; name == "" {
		name = "replica"
	}
	return name + "-" + strings.ToLower(random[:suffixLetters])
}
