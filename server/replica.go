package server

import (
	"crypto/rand"
	"os"
	"strings"

	"github.com/dlrloop/dlrloop/config"
)

// replicaOf returns the name of this replica. Without a configured name it generates one from the host name if the
// store can be shared, and otherwise returns "".
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

// Maximum lengths of the parts of a generated name.
const (
	hostLetters   = 40
	suffixLetters = 4
)

// newReplica returns a name from the first label of the host name, reduced to characters that need no escaping in
// logs and labels, and a random suffix.
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
