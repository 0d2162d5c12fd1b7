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

// Load reads the configuration from the file at path, and secrets from their own files. If path is empty, it reads the
// file that $DLRLOOP_CONFIG names, or else config.yaml in the working directory, if there is one. Environment variables
// in environ, which has the format of os.Environ, override the file. A relative path in the file is relative to the
// file's directory, a relative path in a variable is relative to the working directory. If the configuration is
// invalid, Load returns nil and an error of type Problems.
func Load(path string, environ []string) (*Config, error) {
	return newLoader(environ).load(path)
}

// Check does the same as Load, and also tests whether a store can be created at store.path. It removes what the test
// created.
func Check(path string, environ []string) (*Config, error) {
	l := newLoader(environ)
	l.tryStore = true
	return l.load(path)
}

// Reload does the same as Load, but for a running server: it does not read the TLS files. The server reads these
// itself, and keeps the last valid certificate and key while the files are incomplete.
func Reload(path string, environ []string) (*Config, error) {
	l := newLoader(environ)
	l.reloading = true
	return l.load(path)
}

func (l *loader) load(path string) (*Config, error) {
	l.readSources(path)
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

// finish sorts p, and adds to each problem its line of the configuration file with secrets masked. Call finish only
// after all checks, because a check may find out that a line holds a secret.
func (l *loader) finish(p Problems) {
	for i := range p {
		p[i].Source = l.source.excerpt(p[i].Line)
	}
	p.sort()
}

// PrivateListen returns private.listen, the address of the private listener, even from a configuration that Load
// rejects. It reads no files with secrets. If the file cannot be read or is not YAML, it returns the default, even if
// an environment variable sets the address.
func PrivateListen(path string, environ []string) string {
	l := newLoader(environ)
	l.readSources(path)
	return l.config.Private.Listen
}

// loader holds the state of one call of Load, Check, Reload or PrivateListen.
type loader struct {
	config    *Config
	source    source
	variables map[string]string // DLRLOOP_ variables that are set and not empty
	path      string            // the value of DLRLOOP_CONFIG
	invalid   []string          // keys with an invalid value, which need no further problem
	createdBy map[string]string // list entries added by variables, with the first variable of each
	reloading bool              // called by Reload: TLS files are not read
	tryStore  bool              // called by Check: store.path is tested
	broken    bool              // the file cannot be read or parsed; the checks are skipped
	problems  Problems
	warnings  Problems
}

func newLoader(environ []string) *loader {
	l := &loader{config: Default(), source: newSource("", nil), createdBy: make(map[string]string)}
	l.variables, l.path = variables(environ)
	return l
}

// readSources fills the configuration: it applies the file at path and then the environment variables to the defaults.
// It stops after a file that cannot be read or parsed.
func (l *loader) readSources(path string) {
	l.file(path)
	if l.broken {
		return
	}
	l.environment()
}

// file reads and decodes the configuration file: path, or else the file that DLRLOOP_CONFIG names, or else config.yaml.
// It records a problem if it fails. Only the default config.yaml may be missing.
func (l *loader) file(path string) {
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
		l.problem("", "%s", readError(err, "name another file, or start from a copy of config.example.yaml"))
		return
	}
	l.yaml(content)
	if l.source.secrets && mode.Perm()&0o004 != 0 {
		l.warn("", "contains secrets and is readable by every user; run chmod o= %s, "+
			"or move the secrets to separate files", name)
	}
}

// readLimited returns the content and the mode of a file. It returns a tooLargeError if the file exceeds limit bytes,
// and errIsDir for a directory.
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
		return nil, 0, errIsDir
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = tooLargeError(limit)
	}
	return content, info.Mode(), err
}

var errIsDir = errors.New("is a directory; name a file")

// tooLargeError is the error for a file that is larger than its limit. The value is the limit in bytes.
type tooLargeError int64

func (e tooLargeError) Error() string {
	return fmt.Sprintf("is larger than %d KiB, the limit for this file; name another file", int64(e)>>10)
}

// readError explains to the user why a file could not be read. fix is what to do if the file does not exist.
func readError(err error, fix string) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file; " + fix
	case errors.Is(err, fs.ErrPermission):
		return "permission denied; grant the user that runs dlrloop read access"
	default:
		return withoutPath(err).Error()
	}
}

// withoutPath returns the cause of a file error, such as "permission denied", without the path, which the caller's
// message already contains.
func withoutPath(err error) error {
	if wrapped := errors.Unwrap(err); wrapped != nil {
		return wrapped
	}
	return err
}

// problem records an error with key. The place of the error is where key is set: a line of the file or an environment
// variable. problem does nothing if key is marked as invalid.
func (l *loader) problem(key, format string, args ...any) {
	if slices.Contains(l.invalid, key) {
		return
	}
	l.add(l.newProblem(key, fmt.Sprintf(format, args...)))
}

// add appends a problem to the list that Load returns as its error. It drops the problem if the list already has
// maxProblems.
func (l *loader) add(p Problem) {
	if !l.full() {
		l.problems = append(l.problems, p)
	}
}

func (l *loader) full() bool { return len(l.problems) >= maxProblems }

// problemOnce records message as a problem with the first key. It does nothing if one of the keys is marked as invalid,
// because a problem with that key is already recorded.
func (l *loader) problemOnce(message string, keys ...string) {
	if !slices.ContainsFunc(keys, l.isInvalid) {
		l.add(l.newProblem(keys[0], message))
	}
}

func (l *loader) warn(key, format string, args ...any) {
	l.warnings = append(l.warnings, l.newProblem(key, fmt.Sprintf(format, args...)))
}

// newProblem returns a problem with key, and does not record it. The place of the problem is where key is set: a line
// of the file or an environment variable. If key is not set, the place is that of the innermost block or list around
// key.
func (l *loader) newProblem(key, message string) Problem {
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

// markInvalid marks a key whose problem is recorded, so that later checks record no further problem with it.
func (l *loader) markInvalid(key string) { l.invalid = append(l.invalid, key) }

func (l *loader) isInvalid(key string) bool {
	return slices.ContainsFunc(l.invalid, func(f string) bool { return within(f, key) || within(key, f) })
}

// within reports whether key equals outer or is the key of something inside it: plans[0].id is within plans, and every
// key is within "".
func within(outer, key string) bool {
	rest, found := strings.CutPrefix(key, outer)
	return found && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// parent returns the key of the block or list around key: plans[0] for plans[0].id, plans for plans[0], and "" for a
// top-level key.
func parent(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }

// below returns the key of a member of the block with this key: plans[0].id for the key plans[0] and the name id. The
// key "" means the top level.
func below(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// element returns the key of entry i, counted from 0, in the list with this key: plans[0] for the key plans and i = 0.
func element(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// resolve returns path, the value of key, in a form that can be opened from the working directory. If the configuration
// file sets a relative path, resolve joins the directory of this file with path. It returns path unchanged if path is
// absolute or empty, or if an environment variable sets key.
func (l *loader) resolve(key, path string) string {
	if path == "" || filepath.IsAbs(path) || l.inEnvironment(strings.TrimRight(key, "[0123456789]")) {
		return path
	}
	return filepath.Join(filepath.Dir(l.source.name), path)
}

// resolvePaths makes the paths of the store, of the TLS files and of the destinations' certificates relative to the
// working directory instead of the configuration file. The method readSecret does the same for the files of secrets.
func (l *loader) resolvePaths() {
	c := l.config
	c.Store.Path = l.resolve("store.path", c.Store.Path)
	for key, tls := range map[string]*TLS{"public.tls": &c.Public.TLS, "gateway.tls": &c.Gateway.TLS} {
		tls.CertFile = l.resolve(below(key, "cert_file"), tls.CertFile)
		tls.KeyFile = l.resolve(below(key, "key_file"), tls.KeyFile)
	}
	for i := range c.Destinations {
		d, key := &c.Destinations[i], element("destinations", i)
		d.CertFile = l.resolve(below(key, "cert_file"), d.CertFile)
		d.KeyFile = l.resolve(below(key, "key_file"), d.KeyFile)
		d.CAFile = l.resolve(below(key, "ca_file"), d.CAFile)
	}
}

// keyOf returns the name of a struct field in the configuration file, from its yaml tag. It returns "" if the file
// cannot set the field.
func keyOf(f reflect.StructField) string {
	if key := f.Tag.Get("yaml"); key != "-" {
		return key
	}
	return ""
}
