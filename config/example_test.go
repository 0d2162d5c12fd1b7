package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheExampleIsValidAndItsDefaultsAreCorrect(t *testing.T) {
	example, err := os.ReadFile("../config.example.yaml")
	require.NoError(t, err)
	dir := writeFiles(t, map[string]string{"secrets/sinch-token": "tok\n", "secrets/sinch-webhook-secret": "sec\n"})
	path := filepath.Join(dir, "config.yaml")
	want := defaultHere()
	loaded := func(content string) *Config {
		// the default is lower on a machine with little memory
		content = strings.Replace(content, "max_body: 16MiB", "max_body: "+want.Public.MaxBody.String(), 1)
		content = strings.NewReplacer("YOUR_SERVICE_PLAN_ID", "plan-a", "dlr.example.com", "dlr.acme.test").Replace(content)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		c, err := Load(path, nil)
		require.NoError(t, err)
		require.Empty(t, c.Warnings)
		return c
	}
	asItIs := loaded(string(example))

	want.File, want.Store.Path, want.Public.URL = path, filepath.Join(dir, "data"), "https://dlr.acme.test"
	plan := DefaultPlan()
	plan.ID, plan.Region, plan.Token, plan.TokenFile = "plan-a", "eu", "tok", "secrets/sinch-token"
	plan.Webhook.Auth.HMAC = HMAC{Secrets: []Secret{"sec"}, SecretFiles: []string{"secrets/sinch-webhook-secret"}}
	want.Plans = []Plan{plan}
	require.Equal(t, want, asItIs)

	withDefaults := loaded(regexp.MustCompile(`(?m)^( *)#(\w)`).ReplaceAllString(string(example), "$1$2"))
	require.Empty(t, withDefaults.Public.TrustedProxies)
	withDefaults.Public.TrustedProxies = nil
	require.Equal(t, want, withDefaults)
}

func TestTheExampleNamesEveryKey(t *testing.T) {
	example, err := os.ReadFile("../config.example.yaml")
	require.NoError(t, err)
	eachKey(reflect.TypeFor[Config](), "", func(key string, _ reflect.StructField) {
		name := key[strings.LastIndex(key, ".")+1:]
		require.Regexp(t, `(^|[ #{(,])`+name+`:`, string(example), "config.example.yaml should name %s", key)
	})
}

// eachKey calls visit for every key of a block and of the blocks below it, except keys of blocks.
func eachKey(block reflect.Type, under string, visit func(key string, f reflect.StructField)) {
	for i := range block.NumField() {
		f := block.Field(i)
		key, inner := below(under, keyOf(f)), f.Type
		switch {
		case keyOf(f) == "":
			continue
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
			key, inner = key+"[]", inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			eachKey(inner, key, visit)
			continue
		}
		visit(key, f)
	}
}
