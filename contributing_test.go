package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestContributingNamesExist checks that each file in the tables "How a report travels" and "How a send through the
// gateway travels" of CONTRIBUTING.md declares the functions that the tables name.
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
			declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name[1] + `\(`).Match(source)
			assert.True(t, declared, "%s should declare %s", row[1], name[1])
		}
	}
}
