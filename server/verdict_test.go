package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestCheckAndServeAgree checks that a server starts with every configuration that Load, and so `dlrloop check`,
// accepts. A drawn change that Load rejects is left out, so that each draw ends in a start. The other direction needs
// no test, because serve loads the configuration in the same way.
func TestCheckAndServeAgree(t *testing.T) {
	settings := settingsOf(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "verdict")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		environ := []string{
			"DLRLOOP_PLANS_0_ID=plan-a", "DLRLOOP_PLANS_0_BASE_URL=http://127.0.0.1:9", "DLRLOOP_PLANS_0_TOKEN=tok-a",
			"DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS=sec-a", "DLRLOOP_STORE_PATH=" + filepath.Join(dir, "data"),
			"DLRLOOP_PUBLIC_LISTEN=127.0.0.1:0", "DLRLOOP_PRIVATE_LISTEN=127.0.0.1:0",
		}
		c, err := config.Load(file, environ)
		if err != nil {
			t.Fatalf("Load rejects the unchanged configuration: %v", err)
		}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			s := rapid.SampledFrom(settings).Draw(t, "setting")
			changed := append(slices.Clip(environ), s.variable+"="+rapid.SampledFrom(s.values).Draw(t, s.variable))
			if loaded, err := config.Load(file, changed); err == nil {
				c, environ = loaded, changed
			}
		}
		s, err := server.Start(t.Context(), c, server.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatalf("check accepts %q, but serve fails: %v", environ, err)
		}
	})
}

// setting is an environment variable with values to try.
type setting struct {
	variable string
	values   []string
}

// settingsOf returns all settings except those that name something outside the process: a database and files.
func settingsOf(t *testing.T) (all []setting) {
	t.Helper()
	var walk func(variable string, block reflect.Type)
	walk = func(variable string, block reflect.Type) {
		for f := range block.Fields() {
			key := f.Tag.Get("yaml")
			name, kind := variable+"_"+strings.ToUpper(key), f.Type
			if kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct {
				name, kind = name+"_0", kind.Elem()
			}
			switch {
			case key == "-" || strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "_files"):
			case kind.Kind() == reflect.Struct:
				walk(name, kind)
			case key == "driver" || key == "path" && variable == "DLRLOOP_STORE":
			default:
				all = append(all, setting{name, valuesOf(key, kind, f.Tag.Get("range"))})
			}
		}
	}
	walk("DLRLOOP", reflect.TypeFor[config.Config]())
	require.Greater(t, len(all), 40)
	return all
}

// valuesOf returns valid and invalid values for a setting of a kind.
func valuesOf(key string, kind reflect.Type, bounds string) []string {
	least, greatest, _ := strings.Cut(strings.TrimPrefix(bounds, "0|"), "..")
	measures := []string{least, greatest, "0", "-1", "1e-9", "1000000000", "9223372036854775807", "NaN", "Inf", "1e308"}
	texts := []string{
		"a", "plan", "a b", " a", "\ufeffa", "a\u200bb", "a\u00a0b", "a\tb", "é", "\xff", "Bearer a", `"a"`, "a/b", "..",
		"%2e", "a%", "a:b", "<a>",
		strings.Repeat("a", 5000),
	}
	switch {
	case kind == reflect.TypeFor[config.Duration]():
		return append(measures, "1ns", "1ms", "1h", "106751d", "106752d", "9999999h")
	case kind == reflect.TypeFor[config.ByteSize]():
		return append(measures, "1B", "16MiB", "1TiB", "8388607TiB", "8388608TiB")
	case kind.Kind() == reflect.Int || kind.Kind() == reflect.Float64:
		return measures
	case kind.Kind() == reflect.Bool:
		return []string{"true", "false", "yes"}
	case key == "listen":
		return append(texts, ":0", "127.0.0.1:0", "localhost:0", "127.0.0.1:00", "127.0.0.1:-0", "127.0.0.1:65536",
			"127.0.0.1", "256.0.0.1:0", "127.1:0",
			"[::1%]:0", "[127.0.0.1]:0", "[::ffff:127.0.0.1]:0")
	case key == "url" || key == "base_url":
		return append(texts, "http://127.0.0.1:9/xms/v1", "http://127.0.0.1:9/xms/v1/plan-a/", "http://h?", "http://h#",
			"http://u@h", "http://h:", "http://h:0",
			"http://h:99999", "http://:9", "HTTPS://H", "https://h//", "http://h/%zz", "http://h/../a",
			"http://[::1", "http://[fe80::1%25lo]/")
	case key == "trusted_proxies":
		return append(texts, "fe80::1%lo", "fe80::%lo/64", "10.0.0.1", "10.0.0.0/33", "10.0.0.0/08", "::/0",
			"::ffff:10.0.0.0/104", "10.0.0.1,", "010.0.0.1", "[]")
	}
	for _, word := range []string{
		"eu", "br", "mars", string(pgstore.Citus), "warn", config.FormatText, string(webhook.RejectOnFailure),
		string(config.PlanToken),
		"delivered", "confirmed", "off",
	} {
		texts = append(texts, word, strings.ToUpper(word))
	}
	return append(texts, strconv.Quote("a"), fmt.Sprintf("[%q, %q]", "a", "b"), "[]", "[a")
}

// TestRejectedValuesNameThePlace has values that an earlier check accepted although serve failed.
func TestRejectedValuesNameThePlace(t *testing.T) {
	for lines, want := range map[string]string{
		"token: \"a b\"":                                        "config.yaml:4:12: plans[0].token",
		"token: \"a\\u200b\"":                                   "config.yaml:4:12: plans[0].token",
		"token: \"a\\u00a0b\"":                                  "config.yaml:4:12: plans[0].token",
		"token: t\n    feedback: {workers: 1000000000}":         "config.yaml:5:25: plans[0].feedback.workers",
		"token: t\n    feedback: {rate: 1e-9}":                  "config.yaml:5:22: plans[0].feedback.rate",
		"token: t\npublic: {trusted_proxies: [\"fe80::1%lo\"]}": "config.yaml:5:28: public.trusted_proxies[0]",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "config.yaml")
		require.NoError(t, os.WriteFile(file, []byte("plans:\n  - id: plan-a\n    base_url: http://127.0.0.1:9\n    "+lines+
			"\n"), 0o600))
		_, err := config.Load(file, []string{"DLRLOOP_PLANS_0_WEBHOOK_AUTH_NONE=true"})
		problems, ok := errors.AsType[config.Problems](err)
		require.True(t, ok, lines)
		require.Len(t, problems, 1, lines)
		require.Contains(t, strings.TrimPrefix(problems[0].Error(), dir+"/"), want)
	}
}
