package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/dlrloop/dlrloop/config"
)

// keptEvents returns a text for people: for how long events are kept in the event feed of the private API, or that
// there is no feed.
func keptEvents(c *config.Config) string {
	if c.Events.Keep == 0 {
		return "not kept: there is no feed"
	}
	return fmt.Sprintf("the feed has those of the last %s", c.Events.Keep)
}

func summarizeDestination(w io.Writer, d config.Destination) {
	fmt.Fprintf(w, "\ndestination %s\n", d.Name)
	fmt.Fprintf(w, "  requests   POST %s, %s\n", withoutQuery(d.URL), signed(d))
	fmt.Fprintf(w, "             up to %d at a time, %s each\n", d.Workers, contents(d))
	fmt.Fprintf(w, "  events     %s, of %s\n", listOrAll(d.Events, "all types"), listOrAll(d.Plans, "all plans"))
	fmt.Fprintf(w, "  failures   retried after up to %s, dead after %s\n", d.Backoff.Cap, d.GiveUp)
}

// withoutQuery returns a URL without its query and its user, which may hold a secret. For an invalid URL it returns "an
// invalid URL".
func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "an invalid URL" // config.Load has refused it
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}

// signed returns a text for people about how a destination can verify the requests that it gets from dlrloop: by a
// signature, a bearer token or a client certificate. Events are signed by dlrloop. Callbacks, which a destination may
// get instead of events, are signed by Sinch.
func signed(d config.Destination) string {
	how := "signed by Sinch"
	if !d.SendsCallbacks() {
		how = "signed with " + count(len(d.Secrets), "secret")
	}
	if d.Token != "" {
		how += ", with a bearer token"
	}
	if d.CertFile != "" {
		how += ", with a client certificate"
	}
	return how
}

func contents(d config.Destination) string {
	switch {
	case d.SendsCallbacks():
		return "one callback of Sinch"
	case d.MaxEvents == 1:
		return "one event"
	default:
		return fmt.Sprintf("an array of up to %d events", d.MaxEvents)
	}
}

func listOrAll(values []string, all string) string {
	if len(values) == 0 {
		return all
	}
	return strings.Join(values, ", ")
}
