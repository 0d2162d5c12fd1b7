package config

import (
	"errors"
	"io/fs"
	"strings"
	"unicode"
)

const maxSecret = 64 << 10

// readSecrets reads the files that hold secrets, and looks at the secrets that stand in the configuration itself.
func (l *loading) readSecrets() {
	c := &l.config.Private.Credentials
	l.passwords("private.credentials.basic", c.Basic)
	l.secrets("private.credentials.tokens", &c.Tokens, c.TokenFiles)
	l.secret("store.url", &l.config.Store.URL, l.config.Store.URLFile)
	for i := range l.config.Plans {
		p, key := &l.config.Plans[i], element("plans", i)
		l.secret(below(key, "token"), &p.Token, p.TokenFile)
		l.secret(below(key, "project.key_secret"), &p.Project.KeySecret, p.Project.KeySecretFile)
		a, key := &p.Webhook.Auth, below(key, "webhook.auth")
		l.secrets(below(key, "hmac.secrets"), &a.HMAC.Secrets, a.HMAC.SecretFiles)
		l.passwords(below(key, "basic"), a.Basic)
		l.secrets(below(key, "header.values"), &a.Header.Values, a.Header.ValueFiles)
		l.secrets(below(key, "path_token.values"), &a.PathToken.Values, a.PathToken.ValueFiles)
	}
}

func (l *loading) passwords(key string, pairs []Basic) {
	for i := range pairs {
		l.secret(below(element(key, i), "password"), &pairs[i].Password, pairs[i].PasswordFile)
	}
}

// secret reads the one that is named KEY, or that the file named KEY_file holds.
func (l *loading) secret(key string, into *Secret, path string) {
	file := key + "_file"
	if *into != "" && path != "" {
		if direct, _ := l.either([]string{key}, []string{file}); direct {
			path = ""
		}
	}
	switch {
	case path != "":
		*into = l.readSecret(file, path)
	case *into != "":
		l.oneLine(key, *into)
	}
}

// secrets reads those in the list KEYs and adds those that the files of the list KEY_files hold.
func (l *loading) secrets(key string, into *[]Secret, paths []string) {
	for i, s := range *into {
		if s == "" {
			l.problem(element(key, i), "is empty; remove it, or write the secret")
		}
		l.oneLine(element(key, i), s)
	}
	files := strings.TrimSuffix(key, "s") + "_files"
	for i, path := range paths {
		if s := l.readSecret(element(files, i), path); s != "" {
			*into = append(*into, s)
		}
	}
}

// readSecret reads the secret that a file holds, without the line break at its end.
func (l *loading) readSecret(key, path string) Secret {
	written := path
	path = l.resolve(key, path)
	content, mode, err := readLimited(path, maxSecret)
	s := Secret(strings.TrimRight(string(content), "\r\n"))
	switch {
	case written == "":
		l.problem(key, "is empty; remove it, or name the file with the secret")
		return ""
	case errors.Is(err, fs.ErrNotExist) && looksSecret(written):
		l.source.hidden[l.source.places[key].line] = true
		l.problem(key, "there is no such file, and it looks like the secret itself; write that without _file, or put it into a file")
		return ""
	case err != nil:
		l.problem(key, "%s: %s", path, unreadable(err, "put the secret there, or name another file"))
		return ""
	case s == "":
		l.problem(key, "%s: the file is empty; put the secret there", path)
		return ""
	case mode.Perm()&0o004 != 0:
		l.warn(key, "%s can be read by every user: chmod o= %s", path, path)
	}
	l.oneLine(key, s)
	return s
}

// looksSecret reports whether somebody may have written the secret where its file's name belongs.
func looksSecret(name string) bool {
	return len(name) >= 16 && !strings.ContainsAny(name, "./\\")
}

// oneLine refuses what no header and no signature can be made with.
func (l *loading) oneLine(key string, s Secret) {
	switch {
	case strings.ContainsFunc(s.Reveal(), unicode.IsControl):
		l.problem(key, "holds more than one line, or a control character; a secret is a single line of text")
	case strings.TrimSpace(s.Reveal()) != s.Reveal():
		l.problem(key, "begins or ends with a space; take it away")
	}
}

// either decides between keys that exclude each other. What the environment sets counts; when it sets none or both, two
// are one too many.
func (l *loading) either(a, b []string) (useA, useB bool) {
	switch inA, inB := l.inEnvironment(a...), l.inEnvironment(b...); {
	case inA && !inB:
		return true, false
	case inB && !inA:
		return false, true
	}
	l.problem(b[0], "%s is set too; keep one of the two", a[0])
	return true, true
}

// inEnvironment reports whether a variable sets one of the keys.
func (l *loading) inEnvironment(keys ...string) bool {
	for _, key := range keys {
		if _, set := l.variables[variable(key)]; set {
			return true
		}
	}
	return false
}
