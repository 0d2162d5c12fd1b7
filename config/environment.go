package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const prefix = "DLRLOOP"

// variables returns the environment variables that may set configuration values: found maps the name of each DLRLOOP_
// variable to its value. It leaves out empty variables, variables that Kubernetes or Docker set for a service named
// dlrloop, and variables for the tests of dlrloop. file is the value of DLRLOOP_CONFIG. environ has the format of
// os.Environ.
func variables(environ []string) (found map[string]string, file string) {
	found = make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, prefix+"_") || value == "": // a compose file or chart may leave one empty
		case name == prefix+"_CONFIG":
			file = value
		case name == prefix+"_LONG" || strings.HasPrefix(name, prefix+"_TEST_"): // for the tests of this project
		case isServiceLink(name):
		default:
			found[name] = value
		}
	}
	return found, file
}

// isServiceLink reports whether name is a variable that Kubernetes and Docker set in every container for a service
// named dlrloop, for example DLRLOOP_SERVICE_HOST and DLRLOOP_PORT_8080_TCP_ADDR.
func isServiceLink(name string) bool {
	const port = `_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`
	return regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|` + port).MatchString(name)
}

// variable returns the name of the environment variable that sets a key of the configuration: DLRLOOP_PLANS_0_TOKEN for
// plans[0].token.
func variable(key string) string {
	return prefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(key))
}

// environment applies the environment variables to the configuration. It records a problem for each DLRLOOP_ variable
// that belongs to no key.
func (l *loader) environment() {
	known := make(map[string]bool)
	l.override("", reflect.ValueOf(l.config).Elem(), known)
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(l.variables)) {
		if known[name] {
			continue
		}
		message := "unknown variable; docs/configuration.md lists all, and list entries are numbered from 0 without gaps"
		if meant := nearest(name, names); meant != "" {
			message = "unknown variable; did you mean " + meant + "?"
		}
		l.add(Problem{Variable: name, Message: message})
	}
}

// override sets target, the value of key, from environment variables. If target is a block or a list of blocks, it sets
// each value inside. If a variable belongs to the entry after the last one of a list, override first appends this
// entry. It adds to known the names of all variables that can set target or a value inside it, whether they are set or
// not.
func (l *loader) override(key string, target reflect.Value, known map[string]bool) {
	switch {
	case target.Kind() == reflect.Struct:
		for i := range target.NumField() {
			if name := keyOf(target.Type().Field(i)); name != "" {
				l.override(below(key, name), target.Field(i), known)
			}
		}
	case target.Kind() == reflect.Slice && target.Type().Elem().Kind() == reflect.Struct:
		for entry := element(key, target.Len()); l.firstVariable(entry) != ""; entry = element(key, target.Len()) {
			l.createdBy[entry] = l.firstVariable(entry)
			appendDefault(target)
		}
		for i := range target.Len() {
			l.override(element(key, i), target.Index(i), known)
		}
	default:
		known[variable(key)] = true
		if text, ok := l.variables[variable(key)]; ok {
			l.setVariable(key, target, text)
		}
	}
}

// firstVariable returns the alphabetically first environment variable that sets key or a key below it, or "" if there
// is none.
func (l *loader) firstVariable(key string) string {
	name := variable(key)
	for _, v := range slices.Sorted(maps.Keys(l.variables)) {
		if rest, found := strings.CutPrefix(v, name); found && (rest == "" || rest[0] == '_') {
			return v
		}
	}
	return ""
}

func (l *loader) setVariable(key string, into reflect.Value, text string) {
	maps.DeleteFunc(l.source.places, func(k string, _ place) bool { return within(key, k) })
	var err error
	if into.Kind() == reflect.Slice {
		err = setList(into, text)
	} else {
		err = set(into, text)
	}
	if err != nil {
		l.problem(key, "%s", err)
		l.markInvalid(key)
	}
}

// setList parses text into a list: YAML in [ ], or texts separated by commas. Without [ ], a list of secrets gets the
// whole text as one secret, because a secret may contain a comma.
func setList(into reflect.Value, text string) error {
	entries := []string{text}
	switch {
	case strings.HasPrefix(text, "["):
		_, err := checkYAML(text)
		if err == nil {
			err = yaml.Unmarshal([]byte(text), &entries)
		}
		if err != nil {
			return fmt.Errorf(`is not a YAML list; write ["first", "second"]`)
		}
	case into.Type().Elem() != reflect.TypeFor[Secret]():
		entries = strings.Split(text, ",")
	}
	into.SetZero()
	for i, entry := range entries {
		appendDefault(into)
		if err := set(into.Index(i), strings.TrimSpace(entry)); err != nil {
			return err
		}
	}
	return nil
}
