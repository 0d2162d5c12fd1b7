package pgstore

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// maxPEM is the maximum size of a PEM file in bytes. The certificate bundle of an operating system is far smaller.
const maxPEM = 4 << 20

// pemParameters maps each URL parameter that names a PEM file to the environment variable that sets its default.
var pemParameters = map[string]string{"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}

// keywordValue matches keyword=value in a libpq connection string such as "host=db user=me"; values may be quoted.
var keywordValue = regexp.MustCompile(`(?s)(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)`)

// checkFiles returns an error if a PEM file named in connection or in the environment is not a regular file or is
// larger than maxPEM, because pgx reads such a file whole. It ignores a file that cannot be read, which pgx reports.
func checkFiles(connection string) error {
	named := parametersOf(connection)
	for name, variable := range pemParameters {
		for _, path := range append(named[name], os.Getenv(variable)) {
			info, err := os.Stat(path)
			switch {
			case err != nil || info.IsDir():
			case mayHidePassword(path):
				return errNoDatabase
			case !info.Mode().IsRegular():
				return fmt.Errorf("%s: %s is not a regular file; name a PEM file", name, path)
			case info.Size() > maxPEM:
				return fmt.Errorf("%s: %s is larger than %d MiB, the limit for a PEM file; name another file", name, path,
					maxPEM>>20)
			}
		}
	}
	return nil
}

// parametersOf returns all values of each parameter in connection, which is a URL or libpq keywords and values. The map
// is empty if connection is invalid.
func parametersOf(connection string) map[string][]string {
	if strings.HasPrefix(connection, "postgres://") || strings.HasPrefix(connection, "postgresql://") {
		if u, err := url.Parse(connection); err == nil {
			return u.Query()
		}
		return nil
	}
	parameters := make(map[string][]string)
	for _, match := range keywordValue.FindAllStringSubmatch(connection, -1) {
		value := strings.TrimSuffix(strings.TrimPrefix(match[2], "'"), "'")
		parameters[match[1]] = append(parameters[match[1]], regexp.MustCompile(`\\(.)`).ReplaceAllString(value, "$1"))
	}
	return parameters
}
