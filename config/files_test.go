package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pairOf creates a certificate from the template, with its key, and returns the paths of the files.
func pairOf(t *testing.T, template *x509.Certificate) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := writeFiles(t, map[string]string{
		"cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	})
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}

func TestWarnsOfACertificateThatCallersReject(t *testing.T) {
	day := func(year int) time.Time { return time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC) }
	for want, template := range map[string]*x509.Certificate{
		"": {NotAfter: day(2199), DNSNames: []string{"*.acme.test"}},
		"expired on 2020-03-01; callers reject it": {NotAfter: day(2020), DNSNames: []string{"dlr.acme.test"}},
		"is not valid before 2198-03-01; callers reject it until then": {
			NotBefore: day(2198), NotAfter: day(2199), DNSNames: []string{"dlr.acme.test"},
		},
		"is not a certificate for dlr.acme.test, the host of public.url; Sinch rejects it unless a proxy in front " +
			"has its own": {
			NotAfter: day(2199), DNSNames: []string{"acme.test", "dlr.other.test"},
		},
	} {
		cert, key := pairOf(t, template)
		c, err := load(t, fmt.Sprintf("public: {url: https://dlr.acme.test, tls: {cert_file: %s, key_file: %s}}\n", cert,
			key)+minimal)
		require.NoError(t, err)
		if want == "" {
			require.Empty(t, c.Warnings)
			continue
		}
		require.Len(t, c.Warnings, 1)
		require.Equal(t, "public.tls.cert_file", c.Warnings[0].Key)
		require.Equal(t, want, c.Warnings[0].Message)
	}
}

func TestAStorePathThatCannotBeADirectoryIsRejected(t *testing.T) {
	for _, path := range []string{"file", "file/data", "file/a/../data"} {
		got, _ := refused(t, "store: {path: "+path+"}\n"+minimal, map[string]string{"file": ""})
		require.Equal(t, "config.yaml:1:15: store.path: file is a file; name a directory", got)
	}
}

// TestCheckTestsTheStoreDirectory has paths for which only creating a directory fails, and checks that nothing is
// left.
func TestCheckTestsTheStoreDirectory(t *testing.T) {
	dir := writeFiles(t, map[string]string{"config.yaml": minimal, "kept/x": ""})
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for path, want := range map[string]string{
		"kept": "", "kept/a/b/c": "", "new": "", ".": "",
		strings.Repeat("x", 300):          "file name too long",
		"a/b/" + strings.Repeat("x", 300): "file name too long",
		strings.Repeat("long-name/", 500): "file name too long",
		"dangling":                        "no such file or directory",
		"loop":                            "too many levels of symbolic links",
		"loop/data":                       "too many levels of symbolic links",
	} {
		c, err := Check(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_PATH=" + filepath.Join(dir, path)})
		if want == "" {
			require.NoError(t, err)
			require.Empty(t, c.Warnings)
		} else {
			require.EqualError(t, err, "$DLRLOOP_STORE_PATH: store.path: cannot create a store there: "+want+
				"; name another directory", path)
		}
		var left []string
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			left = append(left, strings.TrimPrefix(path, dir))
			return err
		}))
		require.Equal(t, []string{"", "/config.yaml", "/dangling", "/kept", "/kept/x", "/loop"}, left, path)
	}
	got, _ := refused(t, `store: {path: "a\0b"}`+"\n"+minimal, nil)
	require.Equal(t, "config.yaml:1:15: store.path: character 2 is U+0000, which is invisible; remove it", got)
}
