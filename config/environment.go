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

// variables picks ours out of an environment, and the file that $DLRLOOP_CONFIG names. A variable without a value counts
// as not set, so that compose files and charts can leave one empty.
func variables(environ []string) (ours map[string]string, file string) {
	ours = make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, prefix+"_") || value == "":
		case name == prefix+"_CONFIG":
			file = value
		case name == prefix+"_LONG" || strings.HasPrefix(name, prefix+"_TEST_"): // tests of this project
		case isServiceLink(name):
		default:
			ours[name] = value
		}
	}
	return ours, file
}

// isServiceLink recognizes what Kubernetes and Docker links put into every container's environment for a service that is
// named like us, such as DLRLOOP_SERVICE_HOST and DLRLOOP_PORT_8080_TCP_ADDR.
func isServiceLink(name string) bool {
	return regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`).
		MatchString(name)
}

// variable is the environment variable of a key: plans[0].token is DLRLOOP_PLANS_0_TOKEN.
func variable(key string) string {
	return prefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(key))
}

// environment takes the variables over what the file said, and refuses those that name no key.
func (l *loading) environment() {
	known := make(map[string]bool)
	l.override("", reflect.ValueOf(l.config).Elem(), known)
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(l.variables)) {
		if known[name] {
			continue
		}
		message := "no key has this variable; docs/configuration.md lists them, and a list is counted from 0 without gaps"
		if meant := nearest(name, names); meant != "" {
			message = "no key has this variable; did you mean " + meant + "?"
		}
		l.add(Problem{Variable: name, Message: message})
	}
}

// override sets every key whose variable is set, and makes the entries of lists that variables speak of.
func (l *loading) override(key string, into reflect.Value, known map[string]bool) {
	switch {
	case into.Kind() == reflect.Struct:
		for i := range into.NumField() {
			if name := keyOf(into.Type().Field(i)); name != "" {
				l.override(below(key, name), into.Field(i), known)
			}
		}
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct:
		for entry := element(key, into.Len()); l.speaksOf(entry) != ""; entry = element(key, into.Len()) {
			l.made[entry] = l.speaksOf(entry)
			grow(into)
		}
		for i := range into.Len() {
			l.override(element(key, i), into.Index(i), known)
		}
	default:
		known[variable(key)] = true
		if text, ok := l.variables[variable(key)]; ok {
			l.setVariable(key, into, text)
		}
	}
}

// speaksOf is the first variable that sets a key or something below it; empty if none does.
func (l *loading) speaksOf(key string) string {
	name := variable(key)
	for _, v := range slices.Sorted(maps.Keys(l.variables)) {
		if rest, found := strings.CutPrefix(v, name); found && (rest == "" || rest[0] == '_') {
			return v
		}
	}
	return ""
}

func (l *loading) setVariable(key string, into reflect.Value, text string) {
	maps.DeleteFunc(l.source.places, func(k string, _ place) bool { return within(key, k) })
	var err error
	if into.Kind() == reflect.Slice {
		err = setList(into, text)
	} else {
		err = set(into, text)
	}
	if err != nil {
		l.problem(key, "%s", err)
		l.fault(key)
	}
}

// setList reads a list from one variable: in [ ] as YAML, else a single secret, or texts between commas.
func setList(into reflect.Value, text string) error {
	entries := []string{text}
	switch {
	case strings.HasPrefix(text, "["):
		_, err := checkYAML(text)
		if err == nil {
			err = yaml.Unmarshal([]byte(text), &entries)
		}
		if err != nil {
			return fmt.Errorf(`is no list in YAML; write ["first", "second"]`)
		}
	case into.Type().Elem() != reflect.TypeFor[Secret]():
		entries = strings.Split(text, ",")
	}
	into.SetZero()
	for i, entry := range entries {
		grow(into)
		if err := set(into.Index(i), strings.TrimSpace(entry)); err != nil {
			return err
		}
	}
	return nil
}
