package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker: -ldflags "-X github.com/dlrloop/dlrloop/cli.version=1.2.3".
var version string

// Version returns the version of this build: the one that the linker set, else the version of the Go module, else
// "dev".
func Version() string {
	v, _ := built(version, buildInfo())
	return v
}

func buildInfo() *debug.BuildInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return &debug.BuildInfo{}
	}
	return info
}

// built returns the version and the commit of a build. linked is the version that the linker set; if it is empty, the
// version is that of the Go module, else "dev". The commit is "unknown" without version control information.
func built(linked string, info *debug.BuildInfo) (version, commit string) {
	version = linked
	if version == "" && info.Main.Version != "(devel)" {
		version = strings.TrimPrefix(info.Main.Version, "v")
	}
	if version == "" {
		version = "dev"
	}
	commit = "unknown"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += " with changes"
		}
	}
	return version, commit
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go version of the build",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			v, commit := built(version, buildInfo())
			fmt.Fprintf(c.OutOrStdout(), "dlrloop %s\ncommit  %s\ngo      %s %s/%s\n",
				v, commit, strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH)
		},
	}
}
