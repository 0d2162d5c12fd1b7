package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

const (
	defaultFile = "config.yaml"
	maxFile     = 1 << 20
)

// Load reads the configuration from the file at path; without a path from the file that $DLRLOOP_CONFIG names; without
// that from config.yaml in the working directory, if there is one. Then it takes the variables of environ (as os.Environ
// gives them) over it and reads the files with the secrets. A path in the file is relative to the file, one in a variable
// to the working directory. Every error is of type Problems.
func Load(path string, environ []string) (*Config, error) {
	return newLoading(environ).load(path)
}

// Check is Load, and also tries whether the store can be kept where the configuration says. It leaves nothing there.
func Check(path string, environ []string) (*Config, error) {
	l := newLoading(environ)
	l.trying = true
	return l.load(path)
}

// Reload is Load for a server that runs. It does not read the TLS files: the server reads them itself, and goes on with the last
// pair of certificate and key that worked while one of them is half written.
func Reload(path string, environ []string) (*Config, error) {
	l := newLoading(environ)
	l.reloading = true
	return l.load(path)
}

func (l *loading) load(path string) (*Config, error) {
	l.layers(path)
	if !l.broken {
		l.checkTexts()
		l.resolvePaths()
		l.readSecrets()
		l.fillMemory()
		l.check()
	}
	l.finish(l.problems)
	l.finish(l.warnings)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	l.config.File, l.config.Warnings = l.source.name, l.warnings
	return l.config, nil
}

// finish puts problems in order, each with its line. Only now is it known which lines hold secrets.
func (l *loading) finish(p Problems) {
	for i := range p {
		p[i].Source = l.source.excerpt(p[i].Line)
	}
	p.sort()
}

// PrivateListen is the address of the private listener as Load would read it, also from a configuration that Load
// refuses. It touches no secret.
func PrivateListen(path string, environ []string) string {
	l := newLoading(environ)
	l.layers(path)
	return l.config.Private.Listen
}

// loading is one run of Load.
type loading struct {
	config    *Config
	source    source
	variables map[string]string // DLRLOOP_ variables that are set and not empty
	path      string            // $DLRLOOP_CONFIG
	environ   []string          // all of it: that of a database's programs counts too
	faulty    []string          // keys that could not be read: none need tell that they are missing
	made      map[string]string // the entries of lists that the file does not have, with the variable that makes each
	reloading bool              // a server runs
	trying    bool              // the store's folder is tried
	broken    bool              // the file cannot be read or is no YAML: there is nothing to check
	problems  Problems
	warnings  Problems
}

func newLoading(environ []string) *loading {
	l := &loading{config: Default(), source: newSource("", nil), environ: environ, made: make(map[string]string)}
	l.variables, l.path = variables(environ)
	return l
}

// layers reads the file and then the environment into the configuration.
func (l *loading) layers(path string) {
	l.file(path)
	if l.broken {
		return
	}
	l.environment()
}

// file finds and reads the file. None is no problem when none was named.
func (l *loading) file(path string) {
	name, named := path, true
	switch {
	case name != "":
	case l.path != "":
		name = l.path
	default:
		name, named = defaultFile, false
	}
	content, mode, err := readLimited(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return
	}
	l.source = newSource(name, content)
	if err != nil {
		l.broken = true
		l.problem("", "%s", unreadable(err, "name another file, or copy config.example.yaml to start from"))
		return
	}
	l.yaml(content)
	if l.source.secrets && mode.Perm()&0o004 != 0 {
		l.warn("", "holds secrets and can be read by every user: chmod o= %s, or move the secrets to files of their own", name)
	}
}

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, err
	case info.IsDir():
		return nil, 0, errIsFolder
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = tooLargeError(limit)
	}
	return content, info.Mode(), err
}

var errIsFolder = errors.New("is a folder; name a file in it")

// tooLargeError is the limit of a file in bytes that a file exceeds.
type tooLargeError int64

func (e tooLargeError) Error() string {
	return fmt.Sprintf("has more than %d KiB, the most that is read of such a file; name another file", int64(e)>>10)
}

// unreadable says in plain words why a file could not be read; hint is the way out when it is not there.
func unreadable(err error, hint string) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file; " + hint
	case errors.Is(err, fs.ErrPermission):
		return "permission denied; let the user that runs dlrloop read it"
	default:
		return withoutPath(err).Error()
	}
}

// withoutPath is an error of a file without its path, which the message has already.
func withoutPath(err error) error {
	if wrapped := errors.Unwrap(err); wrapped != nil {
		return wrapped
	}
	return err
}

// problem tells that the value of a key is wrong, unless that was told already.
func (l *loading) problem(key, format string, args ...any) {
	if slices.Contains(l.faulty, key) {
		return
	}
	l.add(l.at(key, fmt.Sprintf(format, args...)))
}

// add tells a problem. What comes after a hundred is for the next time.
func (l *loading) add(p Problem) {
	if !l.full() {
		l.problems = append(l.problems, p)
	}
}

func (l *loading) full() bool { return len(l.problems) >= maxProblems }

// missing tells what the first key wants, because none of the others is set. It is silent when one of them all is known
// to be wrong.
func (l *loading) missing(message string, keys ...string) {
	if !slices.ContainsFunc(keys, l.isFaulty) {
		l.add(l.at(keys[0], message))
	}
}

func (l *loading) warn(key, format string, args ...any) {
	l.warnings = append(l.warnings, l.at(key, fmt.Sprintf(format, args...)))
}

// at is a problem with the place where the key was set, or where its nearest parent was.
func (l *loading) at(key, message string) Problem {
	p := Problem{File: l.source.name, Key: key, Message: message}
	for k := key; k != ""; k = parent(k) {
		if _, set := l.variables[variable(k)]; set {
			p.File, p.Variable = "", variable(k)
			return p
		}
		if place, known := l.source.places[k]; known {
			p.Line, p.Column = place.line, place.column
			return p
		}
	}
	return p
}

// fault marks a key as wrong.
func (l *loading) fault(key string) { l.faulty = append(l.faulty, key) }

func (l *loading) isFaulty(key string) bool {
	return slices.ContainsFunc(l.faulty, func(f string) bool { return within(f, key) || within(key, f) })
}

// within reports whether key is outer or below it.
func within(outer, key string) bool {
	rest, found := strings.CutPrefix(key, outer)
	return found && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// parent is the key that holds this one; empty at the top.
func parent(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }

// below is the key of a member.
func below(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// element is the key of an entry of a list.
func element(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// resolve makes a path of the configuration one that can be opened.
func (l *loading) resolve(key, path string) string {
	if path == "" || filepath.IsAbs(path) || l.inEnvironment(strings.TrimRight(key, "[0123456789]")) {
		return path
	}
	return filepath.Join(filepath.Dir(l.source.name), path)
}

// resolvePaths resolves what is not read at once.
func (l *loading) resolvePaths() {
	c := l.config
	c.Store.Path = l.resolve("store.path", c.Store.Path)
	for key, tls := range map[string]*TLS{"public.tls": &c.Public.TLS, "gateway.tls": &c.Gateway.TLS} {
		tls.CertFile = l.resolve(below(key, "cert_file"), tls.CertFile)
		tls.KeyFile = l.resolve(below(key, "key_file"), tls.KeyFile)
	}
}

// keyOf is the key of a field in the file; empty for what is not read.
func keyOf(f reflect.StructField) string {
	if key := f.Tag.Get("yaml"); key != "-" {
		return key
	}
	return ""
}
