package deploy_test

import (
	"bytes"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// files are the compose files.
var files = []string{"compose.yaml", "compose-replicas.yaml"}

// composed holds the members of a compose file that the tests read.
type composed struct {
	Services map[string]service
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type service struct {
	Extends     struct{ File, Service string }
	Image       string
	Build       string
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Restart     string
	Command     []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
	Secrets     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct {
		Test    []string
		Disable bool
	}
}

// ends reports whether the service performs one task and exits.
func (s service) ends() bool { return s.Restart == "on-failure" && s.Healthcheck.Disable }

// load reads a compose file. It resolves services that extend a service of another file.
func load(t *testing.T, file string) composed {
	t.Helper()
	var c composed
	read(t, file, &c)
	require.Greater(t, len(c.Services), 4)
	for name, s := range c.Services {
		if s.Extends.File != "" {
			c.Services[name] = over(t, load(t, s.Extends.File).Services[s.Extends.Service], s)
		}
	}
	return c
}

// over returns base, extended by s as Docker Compose does. It supports only what the files use: a command replaces the
// command, variables and mounts replace those with the same name or target, and depends_on replaces (tag !override).
func over(t *testing.T, base, s service) service {
	t.Helper()
	require.Equal(t, service{
		Extends: s.Extends, Command: s.Command, Environment: s.Environment, Volumes: s.Volumes, DependsOn: s.DependsOn,
	}, s, "this test supports no other keys of a service that extends another")
	if s.Command != nil {
		base.Command = s.Command
	}
	if s.DependsOn != nil {
		base.DependsOn = s.DependsOn
	}
	if s.Environment != nil {
		base.Environment = maps.Clone(base.Environment)
		maps.Copy(base.Environment, s.Environment)
	}
	target := func(volume string) string { return strings.Split(volume, ":")[1] }
	volumes := map[string]string{}
	for _, v := range append(base.Volumes, s.Volumes...) {
		volumes[target(v)] = v
	}
	base.Volumes = nil
	for _, v := range volumes {
		base.Volumes = append(base.Volumes, v)
	}
	return base
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte("!override"), nil) // a tag of Docker Compose, see over
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

// mounts maps each mounted file of the repository to its path in the container.
func mounts(s service) map[string]string {
	all := map[string]string{}
	for _, v := range s.Volumes {
		if parts := strings.Split(v, ":"); strings.HasPrefix(v, ".") {
			all[parts[0]] = parts[1]
		}
	}
	return all
}

// secretFile is the text of a file that holds a secret.
func secretFile(t *testing.T, c composed, name string) string {
	t.Helper()
	text, err := os.ReadFile(c.Secrets[name].File)
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}
