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

// ErrNotFound means that no PostgreSQL is installed; the error says what to install.
var ErrNotFound = errors.New("no PostgreSQL found")

// places are where PostgreSQL's programs usually are when PATH does not have them.
func places() []string {
	return []string{
		"/usr/lib/postgresql/*/bin", // Debian
		"/usr/pgsql-*/bin",          // Red Hat
		"/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/opt/homebrew/bin",
	}
}

// find returns the folder with postgres and initdb: the first in path, a list like PATH, else in the first place that
// has one, the newest of that place.
func find(path string, places []string) (string, error) {
	folders := filepath.SplitList(path)
	for _, place := range places {
		matches, err := filepath.Glob(place)
		if err != nil {
			return "", err
		}
		slices.SortStableFunc(matches, func(a, b string) int { return slices.CompareFunc(version(b), version(a), cmp.Compare) })
		folders = append(folders, matches...)
	}
	for _, folder := range folders {
		// A link in PATH may be to one program alone; the others lie beside what it points to.
		postgres, err := filepath.EvalSymlinks(filepath.Join(folder, "postgres"))
		if err != nil || !filepath.IsAbs(postgres) {
			continue
		}
		if runs(postgres) && runs(filepath.Join(filepath.Dir(postgres), "initdb")) {
			return filepath.Dir(postgres), nil
		}
	}
	return "", fmt.Errorf("%w in PATH, %s: install it (Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install "+
		"postgresql-server; Alpine: apk add postgresql; macOS: brew install postgresql), or set %s to the URL of a server on "+
		"which databases may be made", ErrNotFound, strings.Join(places, ", "), Variable)
}

func runs(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// version is the numbers in a path.
func version(path string) []int {
	var numbers []int
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(path, -1) {
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil // no version has that many digits
		}
		numbers = append(numbers, number)
	}
	return numbers
}
