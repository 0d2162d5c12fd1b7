package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestContributingNamesExist checks that each file in the tables of CONTRIBUTING.md ("Where to change what" and those
// of a report's and a send's path) declares the names that the tables give for it.
func TestContributingNamesExist(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\|[^|]*\\| `([\\w/]+\\.go)` \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(rows), 20)
	for _, row := range rows {
		source, err := os.ReadFile(row[1])
		if !assert.NoError(t, err) {
			continue
		}
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[2], -1) {
			declared := regexp.MustCompile(
				`(?m)^(func (\([^)]*\) )?` + name[1] + `\(|(var|const|type) ` + name[1] + `\b)`).Match(source)
			assert.True(t, declared, "%s should declare %s", row[1], name[1])
		}
	}
}
