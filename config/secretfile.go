package config

import (
	"errors"
	"io/fs"
	"strings"
)

// maxSecret is the maximum size in bytes of a file that holds a secret. A larger file is an error.
const maxSecret = 64 << 10

// readSecrets reads the files that hold secrets into the configuration, and checks every secret. It records a problem
// for each file and secret that cannot be used.
func (l *loader) readSecrets() {
	c := &l.config.Private.Credentials
	l.passwords("private.credentials.basic", c.Basic)
	l.secrets("private.credentials.tokens", &c.Tokens, c.TokenFiles, l.checkToken)
	l.secret("store.url", &l.config.Store.URL, l.config.Store.URLFile, l.checkSecret)
	l.destinationSecrets()
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

func (l *loader) passwords(key string, pairs []Basic) {
	for i := range pairs {
		l.secret(below(element(key, i), "password"), &pairs[i].Password, pairs[i].PasswordFile, l.checkSecret)
	}
}

// secret sets *into to the secret in the file at path, unless path is empty. In any case it then calls check with *into
// and the key that set it: key itself, or key followed by _file (such as token_file) for a secret from the file. If
// both *into and path are set, secret records a problem, unless an environment variable sets only one of them; it then
// uses that one.
func (l *loader) secret(key string, into *Secret, path string, check func(string, Secret)) {
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

// secrets appends the secrets in the files at paths to the list *into. It calls check for every secret in the list,
// with its key: tokens[0] for the first secret that is set directly, token_files[0] for the secret in the first file.
func (l *loader) secrets(key string, into *[]Secret, paths []string, check func(string, Secret)) {
	for i, s := range *into {
		if s == "" {
			l.problem(element(key, i), "is empty; remove it, or write the secret")
			l.markInvalid(element(key, i))
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

// readSecret returns the secret in the file at path, the value of key. If the file has no usable secret, it records a
// problem with key and returns "".
func (l *loader) readSecret(key, path string) Secret {
	written := path
	path = l.resolve(key, path)
	content, mode, err := readLimited(path, maxSecret)
	s, unusable := ParseSecret(content)
	var wrong string
	switch {
	case written == "":
		wrong = "is empty; remove it, or name the file with the secret"
	case errors.Is(err, fs.ErrNotExist) && looksLikeSecret(written):
		l.source.maskedLines[l.source.places[key].line] = true
		wrong = "there is no such file, and the value looks like the secret itself; set the key without _file, " +
			"or put the secret into a file"
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(path, "/run/credentials/"):
		wrong = path + ": there is no such file; systemd creates it only while the service runs"
	case err != nil:
		wrong = path + ": " + readError(err, "put the secret there, or name another file")
	case unusable != nil:
		wrong = path + ": " + unusable.Error()
	case s == "":
		wrong = path + ": the file is empty; put the secret there"
	case mode.Perm()&0o004 != 0:
		l.warn(key, "%s is readable by every user; run chmod o= %s", path, path)
	}
	if wrong != "" {
		l.problem(key, "%s", wrong)
		l.markInvalid(key)
		return ""
	}
	return s
}

// looksLikeSecret reports whether name, given as the name of a file, is probably the secret itself: at least 16
// characters without dot or slash.
func looksLikeSecret(name string) bool {
	return len(name) >= 16 && !strings.ContainsAny(name, "./\\")
}

// either chooses between two groups of keys, a and b, that exclude each other. Call it only if keys of both groups are
// set. If environment variables set keys of only one group, that group overrides the file: either returns true for it,
// and false for the other group. Otherwise either records a problem and returns true for both groups.
func (l *loader) either(a, b []string) (useA, useB bool) {
	switch inA, inB := l.inEnvironment(a...), l.inEnvironment(b...); {
	case inA && !inB:
		return true, false
	case inB && !inA:
		return false, true
	}
	l.problem(b[0], "%s is set too; keep one of the two", a[0])
	return true, true
}

// inEnvironment reports whether an environment variable sets at least one of these keys.
func (l *loader) inEnvironment(keys ...string) bool {
	for _, key := range keys {
		if _, set := l.variables[variable(key)]; set {
			return true
		}
	}
	return false
}
