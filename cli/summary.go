package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// summarize prints what a valid configuration makes dlrloop do, in words and without secrets.
func summarize(w io.Writer, c *config.Config) {
	fmt.Fprintf(w, "%s: OK\n\n", cmp.Or(c.File, "the environment"))
	fmt.Fprintf(w, "public   %s\n", public(c.Public))
	fmt.Fprintf(w, "private  %s\n", private(c.Private))
	fmt.Fprintf(w, "gateway  %s\n", gateway(c.Gateway))
	fmt.Fprintf(w, "store    %s; a batch is kept for %s after its last change\n", kept(c.Store), c.Store.Retention)
	fmt.Fprintf(w, "inbound  %s\n", inboundMessages(c))
	fmt.Fprintf(w, "events   %s\n", keptEvents(c))
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
	for _, d := range c.Destinations {
		summarizeDestination(w, d)
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
		return fmt.Sprintf("HTTP on %s, without credentials: every user of this machine has full access", p.Listen)
	}
	return fmt.Sprintf("HTTP on %s, with %s", p.Listen, joined(
		countUnlessZero(len(p.Credentials.Basic), "user name"),
		countUnlessZero(len(p.Credentials.Tokens), "bearer token"),
	))
}

func kept(s config.Store) string {
	if s.Driver != config.DriverPostgres {
		return s.Driver + " in " + s.Path
	}
	how := "migrates the schema"
	if !s.Migrate {
		how = "leaves the schema to `dlrloop migrate`"
	}
	kind := ""
	if s.Dialect != pgstore.Postgres {
		kind = " (" + string(s.Dialect) + ")"
	}
	return fmt.Sprintf("postgres%s %s; up to %s; a start %s", kind, database(s.URL), count(s.PoolSize, "connection"), how)
}

func inboundMessages(c *config.Config) string {
	if !c.Inbound.Keep {
		return "not stored: inbound messages are acknowledged and dropped"
	}
	return fmt.Sprintf("messages are stored and kept for %s", c.Store.Retention)
}

// database returns the host, name, user and sslmode of a PostgreSQL URL for people, without the password. If the URL is
// invalid, it returns the text of the error.
func database(url config.Secret) string {
	d, err := pgstore.ParseURL(url.Reveal())
	if err != nil {
		return err.Error()
	}
	as := cmp.Or(d.User, "the operating system's user")
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

// verification returns a text for people: how callbacks of a plan are verified, and how dlrloop answers a callback that
// fails.
func verification(a config.Auth) string {
	if a.None {
		return "not verified: every caller is trusted"
	}
	ways := joined(
		countUnlessZero(len(a.HMAC.Secrets), "HMAC secret"),
		countUnlessZero(len(a.Basic), "user name"),
		countUnlessZero(len(a.Header.Values), a.Header.Name+" header"),
		countUnlessZero(len(a.PathToken.Values), "path token"),
	)
	answer := "503, and Sinch retries"
	if a.OnFailure == webhook.RejectOnFailure {
		answer = "401, and Sinch does not retry"
	}
	return fmt.Sprintf("verified with %s; a failure is answered %s", ways, answer)
}

func feedback(f config.Feedback) string {
	var who string
	switch f.On {
	case store.OnOff:
		return "off"
	case store.OnConfirmed:
		who = "confirmed by the application"
	case store.OnBoth:
		who = "reported Delivered or confirmed by the application"
	default:
		who = "reported Delivered"
	}
	if f.Batches == config.AllBatches {
		who += ", in every batch (no lookup at Sinch)"
	}
	return fmt.Sprintf("for recipients %s; collected for %s, %s at a time, up to %g calls per second, dead after %s",
		who, f.Coalesce, count(f.Workers, "batch"), f.Rate, f.GiveUp)
}

func reconciling(p config.Plan) string {
	if p.Reconcile.Silence == 0 || !p.Callable() {
		return "off: missing reports are not fetched"
	}
	return fmt.Sprintf("fetches missing reports after %s without a report, up to %g per second", p.Reconcile.Silence,
		p.Reconcile.Rate)
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
		where += "; sets delivery_report and callback_url in sends that omit them"
	}
	return where
}

func gatewayToken(g config.PlanGateway) string {
	if g.Token == config.PlanToken {
		return "calls Sinch with the plan's credentials"
	}
	return "calls Sinch with the caller's token"
}

// countUnlessZero returns a number with its noun, such as "2 secrets", or "" if n is 0. It is for the arguments of
// joined, which leaves out empty texts.
func countUnlessZero(n int, noun string) string {
	if n == 0 {
		return ""
	}
	return count(n, noun)
}

// joined concatenates the texts with " and " between them, and leaves out empty ones.
func joined(texts ...string) string {
	var present []string
	for _, t := range texts {
		if t != "" {
			present = append(present, t)
		}
	}
	return strings.Join(present, " and ")
}
