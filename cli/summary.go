package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
)

// summarize tells in words what a configuration makes dlrloop do.
func summarize(w io.Writer, c *config.Config) {
	fmt.Fprintf(w, "%s: right\n\n", cmp.Or(c.File, "the environment"))
	fmt.Fprintf(w, "public   %s\n", public(c.Public))
	fmt.Fprintf(w, "private  %s\n", private(c.Private))
	fmt.Fprintf(w, "gateway  %s\n", gateway(c.Gateway))
	fmt.Fprintf(w, "store    %s; a batch is kept for %s after its last news\n", kept(c.Store), c.Store.Retention)
	fmt.Fprintf(w, "memory   at most %s\n", c.Memory.Limit)
	fmt.Fprintf(w, "log      %s, %s\n", c.Log.Level, c.Log.Format)
	for _, p := range c.Plans {
		fmt.Fprintf(w, "\nplan %s\n", p.ID)
		fmt.Fprintf(w, "  Sinch      %s, %s\n", origin(p), credentials(p))
		fmt.Fprintf(w, "  callbacks  POST %s\n", webhookURL(c.Public, p))
		fmt.Fprintf(w, "             %s\n", verification(p.Webhook.Auth))
		fmt.Fprintf(w, "  feedback   %s\n", feedback(p.Feedback))
		fmt.Fprintf(w, "  reconcile  %s\n", reconciling(p))
		fmt.Fprintf(w, "  gateway    %s\n", gatewayToken(p.Gateway))
	}
}

func public(p config.Public) string {
	scheme := "HTTP"
	if p.TLS.Enabled() {
		scheme = "HTTPS"
	}
	return fmt.Sprintf("%s on %s; callbacks of up to %s, %s for all in flight", scheme, p.Listen, p.MaxBody, p.Memory)
}

func private(p config.Private) string {
	if !p.Credentials.Any() {
		return fmt.Sprintf("HTTP on %s, without credentials: whoever is on this machine may use it", p.Listen)
	}
	return fmt.Sprintf("HTTP on %s, with %s", p.Listen, joined(
		some(len(p.Credentials.Basic), "user name"),
		some(len(p.Credentials.Tokens), "bearer token"),
	))
}

func kept(s config.Store) string {
	if s.Driver != config.DriverPostgres {
		return s.Driver + " in " + s.Path
	}
	how := "brings the schema to its version"
	if !s.Migrate {
		how = "leaves changes of the schema to `dlrloop migrate`"
	}
	kind := ""
	if s.Dialect != config.DialectPostgres {
		kind = " (" + s.Dialect + ")"
	}
	return fmt.Sprintf("postgres%s %s; up to %s; a start %s", kind, database(s.URL), count(s.PoolSize, "connection"), how)
}

// database tells where a database is, as db.example:5432/dlrloop. It was understood when it was loaded.
func database(url config.Secret) string {
	d, err := config.ReadDatabase(url, environ())
	if err != nil {
		return err.Error()
	}
	as := cmp.Or(d.User, "the user of the system")
	return fmt.Sprintf("at %s/%s as %s, sslmode %s", strings.Join(d.Hosts, ","), cmp.Or(d.Name, d.User), as, d.SSLMode)
}

func origin(p config.Plan) string {
	if p.BaseURL != "" {
		return "at " + p.BaseURL
	}
	return "in region " + p.Region
}

func credentials(p config.Plan) string {
	switch {
	case p.Project.Used():
		return "with the access key " + p.Project.KeyID + " of project " + p.Project.ID
	case p.Token != "":
		return "with the plan's API token"
	default:
		return "without credentials"
	}
}

func webhookURL(public config.Public, p config.Plan) string {
	url := public.URL + "/webhooks/" + p.ID
	if len(p.Webhook.Auth.PathToken.Values) > 0 {
		url += "/TOKEN"
	}
	return url
}

// verification tells how callbacks are verified and what becomes of those that do not verify.
func verification(a config.Auth) string {
	if a.None {
		return "not verified: whoever reaches the webhook is believed"
	}
	ways := joined(
		some(len(a.HMAC.Secrets), "HMAC secret"),
		some(len(a.Basic), "user name"),
		some(len(a.Header.Values), a.Header.Name+" header"),
		some(len(a.PathToken.Values), "path token"),
	)
	answer := "503, so that Sinch repeats it"
	if a.OnFailure == config.Reject {
		answer = "401, and is lost"
	}
	return fmt.Sprintf("verified with %s; what does not verify is answered %s", ways, answer)
}

func feedback(f config.Feedback) string {
	var who string
	switch f.On {
	case store.OnOff:
		return "off"
	case store.OnConfirmed:
		who = "that the application confirms"
	case store.OnBoth:
		who = "that are reported Delivered or that the application confirms"
	default:
		who = "that are reported Delivered"
	}
	if f.Batches == config.AllBatches {
		who += ", of every batch without asking Sinch"
	}
	return fmt.Sprintf("for recipients %s; gathered for %s, %s at a time, up to %g calls a second, dead after %s",
		who, f.Coalesce, countBatches(f.Workers), f.Rate, f.GiveUp)
}

func reconciling(p config.Plan) string {
	if p.Reconcile.Silence == 0 || !p.Callable() {
		return "off: reports that are never called back stay missing"
	}
	return fmt.Sprintf("Sinch is asked after %s without a report that should come, up to %g a second", p.Reconcile.Silence, p.Reconcile.Rate)
}

func gateway(g config.Gateway) string {
	where := "on the private listener"
	if g.Listen != "" {
		scheme := "HTTP"
		if g.TLS.Enabled() {
			scheme = "HTTPS"
		}
		where = scheme + " on " + g.Listen
	}
	if g.Defaults {
		where += "; sends that leave out delivery_report or callback_url get them"
	}
	return where
}

func gatewayToken(g config.PlanGateway) string {
	if g.Token == config.PlanToken {
		return "calls Sinch with the plan's credentials"
	}
	return "calls Sinch with the caller's token"
}

// some counts what there is; nothing gives the empty text.
func some(n int, noun string) string {
	if n == 0 {
		return ""
	}
	return count(n, noun)
}

// joined are the texts that are not empty.
func joined(texts ...string) string {
	var there []string
	for _, t := range texts {
		if t != "" {
			there = append(there, t)
		}
	}
	return strings.Join(there, " and ")
}
