package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/dlrloop/dlrloop"

// imports is the table of docs/architecture.md: the packages of this module that each package may import. Tests may
// import more. .golangci.yml (depguard) lists the packages that may import a library.
var imports = map[string][]string{
	".": {"cli"},
	"cli": {
		"config", "demo", "dlr", "handlers/webhook", "server", "simulator", "simulator/application", "sinch", "store",
		"store/boltstore", "store/copying", "store/pgstore",
	},
	"batchinfo": {"dlr", "sinch", "store"},

	// config calls the checks of the packages whose settings it reads.
	"config": {
		"handlers/access", "handlers/gateway", "handlers/webhook", "relay", "relay/destinations", "sinch", "store",
		"store/pgstore",
	},
	"demo": {
		"config", "dlr", "server", "simulator", "simulator/application", "simulator/ledger", "store",
	},
	"dlr":    {},
	"events": {"dlr", "store"},

	"handlers/access": {"handlers/problem"},
	"handlers/api": {
		"batchinfo", "dlr", "events", "handlers/access", "handlers/listener", "handlers/problem", "sinch", "store",
	},
	"handlers/gateway": {
		"batchinfo", "dlr", "handlers/access", "handlers/listener", "handlers/problem", "metrics", "sinch", "store",
	},
	"handlers/handlerstest": {"store", "store/boltstore", "store/storetest"},
	"handlers/listener":     {"handlers/problem"},
	"handlers/problem":      {"store"},
	"handlers/webhook":      {"dlr", "handlers/access", "handlers/listener", "handlers/problem", "metrics", "store"},

	"metrics": {"dlr", "store"},

	"relay":              {"dlr", "sinch", "store"},
	"relay/destinations": {"events", "metrics", "relay", "sinch", "store"},

	"relay/feedback":  {"batchinfo", "dlr", "metrics", "relay", "sinch", "store"},
	"relay/reconcile": {"metrics", "relay", "sinch", "store"},
	"relay/relaytest": {"dlr", "metrics", "sinch", "store", "store/boltstore", "store/storetest"},

	"server": {
		"config", "handlers/access", "handlers/api", "handlers/gateway", "handlers/webhook", "metrics", "relay",
		"relay/destinations", "relay/feedback", "relay/reconcile", "sinch", "store", "store/boltstore", "store/commit",
		"store/pgstore",
	},
	"sinch": {"dlr"},

	"store": {"dlr"},
	"store/boltstore": {
		"dlr", "store", "store/boltstore/internal/backlog", "store/boltstore/internal/schema", "store/commit",
		"store/copying", "store/disk", "store/erase", "store/fold", "store/journal", "store/packed",
	},
	"store/boltstore/internal/backlog": {"store", "store/boltstore/internal/schema", "store/fold", "store/journal"},

	"store/boltstore/internal/schema": {"dlr", "store", "store/fold", "store/journal", "store/packed"},

	"store/commit":    {"store"},
	"store/copying":   {"store"},
	"store/disk":      {},
	"store/erase":     {"dlr", "store"},
	"store/fold":      {"dlr", "store"},
	"store/journal":   {"store/disk"},
	"store/packed":    {"dlr", "store"},
	"store/pgstore":   {"dlr", "store", "store/commit", "store/copying", "store/erase", "store/fold", "store/packed"},
	"store/storetest": {"dlr", "store", "store/fold"},

	"dlr/fixtures":           {},
	"store/pgstore/pgtest":   {},
	"store/pgstore/sqlforms": {},

	"simulator": {
		"simulator/batches", "simulator/callbacks", "simulator/fault", "simulator/groups", "simulator/inbound",
		"simulator/ledger", "simulator/random", "simulator/xms",
	},
	"simulator/application": {"simulator/fault", "simulator/random", "simulator/xms"},
	"simulator/batches": {
		"simulator/callbacks", "simulator/fault", "simulator/groups", "simulator/inbound", "simulator/ledger",
		"simulator/random", "simulator/schedule", "simulator/xms",
	},
	"simulator/callbacks": {"simulator/ledger", "simulator/random", "simulator/schedule", "simulator/xms"},
	"simulator/fault":     {"simulator/xms"},
	"simulator/groups":    {"simulator/xms"},
	"simulator/inbound":   {"simulator/callbacks", "simulator/ledger", "simulator/random", "simulator/xms"},
	"simulator/ledger":    {"simulator/fault"},
	"simulator/random":    {},
	"simulator/schedule":  {},
	"simulator/text":      {},
	"simulator/xms":       {"simulator/text"},
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	eachImport(t, func(pkg, imported string) {
		allowed, known := imports[pkg]
		require.True(t, known, "package %s is not in the table", pkg)
		seen[pkg] = true
		if ours, found := strings.CutPrefix(imported, module+"/"); found {
			assert.Contains(t, allowed, ours, "%s must not import this package", pkg)
		}
	})
	for pkg := range imports {
		assert.True(t, seen[pkg], "package %s is in the table but does not exist", pkg)
	}
}

// eachImport calls visit for every import in every file of this module except tests.
func eachImport(t *testing.T, visit func(pkg, imported string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." {
			nested, err := filepath.Glob(filepath.Join(file, "go.mod"))
			if err != nil || len(nested) > 0 || strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" {
				return fs.SkipDir
			}
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			visit(path.Dir(filepath.ToSlash(file)), imported)
		}
		return nil
	})
	require.NoError(t, err)
}
