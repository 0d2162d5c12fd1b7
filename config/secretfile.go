package config

import (
	"errors"
	"io/fs"
	"strings"
)

const maxSecret = 64 << 10

// readSecrets reads the files that hold secrets.
func (l *loading) readSecrets() {
	c := &l.config.Private.Credentials
	l.passwords("private.credentials.basic", c.Basic)
	l.secrets("private.credentials.tokens", &c.Tokens, c.TokenFiles, l.checkToken)
	l.secret("store.url", &l.config.Store.URL, l.config.Store.URLFile, l.checkSecret)
	for i := range l.config.Plans {
		p, key := &l.config.Plans[i], element("plans", i)
		l.secret(below(key, "token"), &p.Token, p.TokenFile, l.checkToken)
		l.secret(below(key, "project.key_secret"), &p.Project.KeySecret, p.Project.KeySecretFile, l.checkSecret)
		a, key := &p.Webhook.Auth, below(key, "webhook.auth")
		l.secrets(below(key, "hmac.secrets"), &a.HMAC.Secrets, a.HMAC.SecretFiles, l.checkSecret)
		l.passwords(below(key, "basic"), a.Basic)
		l.secrets(below(key, "header.values"), &a.Header.Values, a.Header.ValueFiles, l.checkSecret)
		l.secrets(below(key, "path_token.values"), &a.PathToken.Values, a.PathToken.ValueFiles, l.checkSecret)
	}
}

func (l *loading) passwords(key string, pairs []Basic) {
	for i := range pairs {
		l.secret(below(element(key, i), "password"), &pairs[i].Password, pairs[i].PasswordFile, l.checkSecret)
	}
}

// secret reads the one that is named KEY, or that the file named KEY_file holds, and checks it.
func (l *loading) secret(key string, into *Secret, path string, check func(string, Secret)) {
	file := key + "_file"
	if *into != "" && path != "" {
		if direct, _ := l.either([]string{key}, []string{file}); direct {
			path = ""
		}
	}
	if path != "" {
		key, *into = file, l.readSecret(file, path)
	}
	check(key, *into)
}

// secrets adds to those in the list KEYs those that the files of the list KEY_files hold, and checks them all.
func (l *loading) secrets(key string, into *[]Secret, paths []string, check func(string, Secret)) {
	for i, s := range *into {
		if s == "" {
			l.problem(element(key, i), "is empty; remove it, or write the secret")
		}
		check(element(key, i), s)
	}
	files := strings.TrimSuffix(key, "s") + "_files"
	for i, path := range paths {
		if s := l.readSecret(element(files, i), path); s != "" {
			check(element(files, i), s)
			*into = append(*into, s)
		}
	}
}

// readSecret reads the secret that a file holds; empty if that is not possible, which is told.
func (l *loading) readSecret(key, path string) Secret {
	written := path
	path = l.resolve(key, path)
	content, mode, err := readLimited(path, maxSecret)
	s, unusable := ParseSecret(content)
	var wrong string
	switch {
	case written == "":
		wrong = "is empty; remove it, or name the file with the secret"
	case errors.Is(err, fs.ErrNotExist) && looksSecret(written):
		l.source.hidden[l.source.places[key].line] = true
		wrong = "there is no such file, and it looks like the secret itself; write that without _file, or put it into a file"
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(path, "/run/credentials/"):
		wrong = path + ": there is no such file; systemd puts it there only while the service runs"
	case err != nil:
		wrong = path + ": " + unreadable(err, "put the secret there, or name another file")
	case unusable != nil:
		wrong = path + ": " + unusable.Error()
	case s == "":
		wrong = path + ": the file is empty; put the secret there"
	case mode.Perm()&0o004 != 0:
		l.warn(key, "%s can be read by every user: chmod o= %s", path, path)
	}
	if wrong != "" {
		l.problem(key, "%s", wrong)
		l.fault(key)
		return ""
	}
	return s
}

// looksSecret reports whether somebody may have written the secret where its file's name belongs.
func looksSecret(name string) bool {
	return len(name) >= 16 && !strings.ContainsAny(name, "./\\")
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
