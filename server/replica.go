package server

import (
	"crypto/rand"
	"os"
	"strings"

	"github.com/dlrloop/dlrloop/config"
)

// replicaOf returns the configured name of this process (its replica name), if there is one. Otherwise, if the store is
// in PostgreSQL, where several processes may share it, replicaOf makes a name from the host name. For any other store
// it returns "".
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

// The maximum lengths of the two parts of a replica name that newReplica makes: the host name and the random suffix.
const (
	hostLetters   = 40
	suffixLetters = 4
)

// newReplica makes a name for this process from the first label of the host name and the beginning of random, such as
// "web-1-k3fz". The name contains only characters that need no escaping in logs and metrics.
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
