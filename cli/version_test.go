package cli

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionOfTheLinkerOrTheModule(t *testing.T) {
	info := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: module}, Settings: settings}
	}
	revision, changed := debug.BuildSetting{
		Key:   "vcs.revision",
		Value: "abc123",
	}, debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, c := range []struct {
		linked          string
		info            *debug.BuildInfo
		version, commit string
	}{
		{"1.2.3", info("v1.0.0", revision), "1.2.3", "abc123"},
		{"", info("v1.0.0", revision, changed), "1.0.0", "abc123 with changes"},
		{"", info("(devel)"), "dev", "unknown"},
		{"", info(""), "dev", "unknown"},
	} {
		v, commit := built(c.linked, c.info)
		require.Equal(t, c.version, v)
		require.Equal(t, c.commit, commit)
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		":8081": "127.0.0.1:8081", "0.0.0.0:8081": "127.0.0.1:8081", "[::]:8081": "[::1]:8081",
		"127.0.0.1:8081": "127.0.0.1:8081",
		"10.0.0.7:80":    "10.0.0.7:80", "localhost:1": "localhost:1", "nonsense": "nonsense",
	} {
		require.Equal(t, want, reachable(listen))
	}
}
