package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// everything is a configuration, as JSON, that sets a key of every kind.
const everything = `{
	"public": {"listen": "127.0.0.1:0", "url": "https://dlr.test", "trusted_proxies": ["10.0.0.0/8"], "max_body": "1MiB"},
	"private": {"listen": "127.0.0.1:0", "credentials": {"basic": [{"username": "u", "password": "p"}], "tokens": ["t"]}},
	"store": {"driver": "postgres", "url": "postgres://u@db/x?sslmode=verify-full", "retention": "720h"},
	"memory": {"limit": "1GiB"}, "inbound": {"keep": true}, "events": {"keep": "24h"}, "log": {"level": "info"},
	"plans": [
		{"id": "plan-a", "region": "eu", "token": "tok",
			"webhook": {"auth": {"hmac": {"secrets": ["s"]}, "on_failure": "retry"}},
			"feedback": {"on": "delivered", "coalesce": "1s", "backoff": {"base": "1s", "cap": "1m"}, "batches": "known"}},
		{"id": "plan-b", "base_url": "http://127.0.0.1:9200", "project": {"id": "p", "key_id": "k", "key_secret": "s"},
			"webhook": {"auth": {"basic": [{"username": "u", "password": "p"}]}}}
	],
	"destinations": [
		{"name": "app", "url": "https://app.test/", "plans": ["plan-a"], "events": ["recipient.status"],
			"secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="], "backoff": {"base": "1s", "cap": "1m"}},
		{"name": "old", "url": "https://old.test/", "format": "sinch", "plans": ["plan-b"], "ordered": false}
	]
}`

// TestLoadWithOneNodeChanged removes each key and element of everything, or replaces it by a value that may not fit.
// Load must report a problem or accept the result.
func TestLoadWithOneNodeChanged(t *testing.T) {
	t.Parallel()
	_, err := load(t, everything)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "config.yaml")
	for _, path := range paths(parsed(t, everything), nil) {
		for _, with := range []string{"", "null", "[]", `""`, `["x"]`, `{"x": 1}`, "-1"} {
			whole := parsed(t, everything)
			whole = changed(t, whole, path, with)
			content, err := json.Marshal(whole)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, content, 0o600))
			require.NotPanics(t, func() { _, err = Load(file, nil) }, "%v: %s", path, with)
			if err != nil {
				require.ErrorAs(t, err, new(Problems), "%v: %s", path, with)
			}
		}
	}
}

func parsed(t *testing.T, text string) (v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	return v
}

// paths returns the path to each node below v: keys of objects and indices of arrays.
func paths(v any, to []any) (all [][]any) {
	add := func(step, child any) {
		path := append(slices.Clone(to), step)
		all = append(append(all, path), paths(child, path)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			add(key, v[key])
		}
	case []any:
		for i, child := range v {
			add(i, child)
		}
	}
	return all
}

// changed returns v with the JSON text in place of the node at path, or without the node if text is empty. It modifies
// v.
func changed(t *testing.T, v any, path []any, text string) any {
	t.Helper()
	if len(path) == 0 {
		return parsed(t, text)
	}
	remove := len(path) == 1 && text == ""
	switch step := path[0].(type) {
	case string:
		object := v.(map[string]any)
		if remove {
			delete(object, step)
		} else {
			object[step] = changed(t, object[step], path[1:], text)
		}
		return object
	case int:
		array := v.([]any)
		if remove {
			return slices.Delete(array, step, step+1)
		}
		array[step] = changed(t, array[step], path[1:], text)
		return array
	}
	panic(fmt.Sprintf("a path has a %T", path[0]))
}
