package pgtest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNotFound means that PostgreSQL is not installed. StartProgram returns an error that wraps ErrNotFound and lists
// what to install. Start and Shared.Database skip the test instead.
var ErrNotFound = errors.New("no PostgreSQL found")

// binDirs returns glob patterns of the directories that usually contain PostgreSQL's programs, in case PATH does not
// name them.
func binDirs() []string {
	return []string{
		"/usr/lib/postgresql/*/bin", // Debian
		"/usr/pgsql-*/bin",          // Red Hat
		"/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/opt/homebrew/bin",
	}
}

// find returns the directory that contains the programs postgres and initdb. It searches path, a list like the
// environment variable PATH, and then the directories that match binDirs, the highest version first. If there is none,
// it returns an error that wraps ErrNotFound.
func find(path string, binDirs []string) (string, error) {
	dirs := filepath.SplitList(path)
	for _, pattern := range binDirs {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.SortStableFunc(matches, func(a, b string) int {
			return slices.CompareFunc(version(b), version(a), cmp.Compare)
		})
		dirs = append(dirs, matches...)
	}
	for _, dir := range dirs {
		// A directory in PATH may contain a symbolic link to one program only; the target's directory contains the
		// others.
		postgres, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil || !filepath.IsAbs(postgres) {
			continue
		}
		if runs(postgres) && runs(filepath.Join(filepath.Dir(postgres), "initdb")) {
			return filepath.Dir(postgres), nil
		}
	}
	return "", fmt.Errorf("%w in PATH, %s: install it (Debian and Ubuntu: apt-get install postgresql; "+
		"Fedora: dnf install postgresql-server; Alpine: apk add postgresql; macOS: brew install postgresql), "+
		"or set %s to the URL of a server on which databases may be created",
		ErrNotFound, strings.Join(binDirs, ", "), URLVariable)
}

func runs(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// version returns the numbers in a path, for comparing versions, or nil if a number is too long for an int.
func version(path string) []int {
	var numbers []int
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(path, -1) {
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil // no version number is that long
		}
		numbers = append(numbers, number)
	}
	return numbers
}
