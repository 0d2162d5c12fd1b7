package destinations

import (
	"encoding/base64"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

func TestCheck(t *testing.T) {
	secret := func(n int) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n)))
	}
	cert, key, _ := newCertificate(t)
	for name, test := range map[string]struct {
		change func(d *Destination)
		member string // with a problem; empty for none
	}{
		"valid":             {func(*Destination) {}, ""},
		"http":              {func(d *Destination) { d.URL = "http://127.0.0.1:8000" }, ""},
		"certificate":       {func(d *Destination) { d.CertFile, d.KeyFile, d.CAFile = cert, key, cert }, ""},
		"shortest secret":   {func(d *Destination) { d.Secrets = []string{secret(24), secret(64)} }, ""},
		"sinch":             {func(d *Destination) { d.Format, d.Secrets = FormatSinch, nil }, ""},
		"no name":           {func(d *Destination) { d.Name = "" }, "name"},
		"capital":           {func(d *Destination) { d.Name = "App" }, "name"},
		"long name":         {func(d *Destination) { d.Name = strings.Repeat("a", 65) }, "name"},
		"no url":            {func(d *Destination) { d.URL = "" }, "url"},
		"other scheme":      {func(d *Destination) { d.URL = "ftp://app.test/" }, "url"},
		"no host":           {func(d *Destination) { d.URL = "https:///reports" }, "url"},
		"user":              {func(d *Destination) { d.URL = "https://u:p@app.test/" }, "url"},
		"fragment":          {func(d *Destination) { d.URL = "https://app.test/#a" }, "url"},
		"empty fragment":    {func(d *Destination) { d.URL = "https://app.test/#" }, "url"},
		"not a url":         {func(d *Destination) { d.URL = "https://app.test:x/" }, "url"},
		"format":            {func(d *Destination) { d.Format = "json" }, "format"},
		"no secret":         {func(d *Destination) { d.Secrets = nil }, "secrets"},
		"three secrets":     {func(d *Destination) { d.Secrets = []string{secret1, secret2, secret1} }, "secrets"},
		"no prefix":         {func(d *Destination) { d.Secrets = []string{secret1, secret2[6:]} }, "secrets[1]"},
		"not base64":        {func(d *Destination) { d.Secrets = []string{"whsec_!"} }, "secrets[0]"},
		"short secret":      {func(d *Destination) { d.Secrets = []string{secret(23)} }, "secrets[0]"},
		"long secret":       {func(d *Destination) { d.Secrets = []string{secret(65)} }, "secrets[0]"},
		"secret of sinch":   {func(d *Destination) { d.Format = FormatSinch }, "secrets"},
		"array of sinch":    {func(d *Destination) { d.Format, d.Secrets, d.MaxEvents = FormatSinch, nil, 2 }, "max_events"},
		"unknown event":     {func(d *Destination) { d.Events = []store.EventType{store.BatchCompleted, "x"} }, "events[1]"},
		"report in events":  {func(d *Destination) { d.Events = []store.EventType{store.ReportReceived} }, "events[0]"},
		"token":             {func(d *Destination) { d.Token = "a b" }, "token"},
		"only a key":        {func(d *Destination) { d.KeyFile = key }, "cert_file"},
		"only a cert":       {func(d *Destination) { d.CertFile = cert }, "key_file"},
		"wrong pair":        {func(d *Destination) { d.CertFile, d.KeyFile = key, cert }, "cert_file"},
		"no such ca":        {func(d *Destination) { d.CAFile = filepath.Join(t.TempDir(), "ca") }, "ca_file"},
		"ca without a cert": {func(d *Destination) { d.CAFile = key }, "ca_file"},
		"backoff":           {func(d *Destination) { d.Backoff = relay.Backoff{Base: -1} }, "backoff.base"},
		"workers":           {func(d *Destination) { d.Workers = -1 }, "workers"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Destination{Name: "app-1.x_y", URL: "https://app.test/a?b=c", Secrets: []string{secret1}}
			test.change(&d)
			var members []string
			d.Check(func(member, text string) {
				members = append(members, member)
				require.NotEmpty(t, text)
				for _, s := range append(d.Secrets, "u:p") {
					require.NotContains(t, text, strings.TrimPrefix(s, "whsec_"))
				}
			})
			if test.member == "" {
				require.Empty(t, members)
				return
			}
			require.Equal(t, []string{test.member}, members)
		})
	}
}

func TestNewNamesTheDestination(t *testing.T) {
	valid := Destination{Name: "app", URL: "https://app.test", Secrets: []string{secret1}}
	noURL := valid
	noURL.URL = ""
	for text, destinations := range map[string][]Destination{
		`destination "app" (number 1): url`:                          {noURL},
		`destination "app" (number 2): name: it is configured twice`: {valid, valid},
	} {
		m := metrics.New(prometheus.NewRegistry(), metrics.Config{Destinations: []string{"app"}})
		_, err := New(Config{Destinations: destinations}, nil, m, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, text)
	}
}
