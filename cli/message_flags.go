package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dlrloop/dlrloop/sinch"
)

// message is what the flags of a command say of a message, or of a change to one.
type message struct {
	flags *pflag.FlagSet
	own   []string // names of its flags
	file  string

	to, toAdd, toRemove []string
	from, body, kind    string
	report              string
	feedback            bool
	callback, reference string
	sendAt, expireAt    time.Time
	parameters          []string
	udh                 string
	mediaURL, subject   string
	flash, truncate     bool
	parts               int
	clear               []string
}

// messageFlags adds the flags that send, dry-run, replace and update have in common.
func messageFlags(c *cobra.Command) *message {
	m := &message{flags: c.Flags()}
	f := c.Flags()
	before := map[string]bool{}
	f.VisitAll(func(flag *pflag.Flag) { before[flag.Name] = true })
	f.StringVar(&m.from, "from", "", "sender: a number, a short code or a `NAME`; the plan's default originator without it")
	f.StringVar(&m.body, "body", "", "`TEXT`, with ${key} for parameters; base64 of a binary message; the text beside the media of a media message")
	f.StringVar(&m.kind, "type", "", "`TYPE` of the message: text, binary or media (default text)")
	f.StringVar(&m.report, "delivery-report", "", "`KIND` of reports that are called back: none, summary, full, per_recipient or per_recipient_final (default none)")
	f.BoolVar(&m.feedback, "feedback", false, "announce that delivery feedback will be given (feedback_enabled)")
	f.StringVar(&m.callback, "callback-url", "", "`URL` for the reports of this batch, instead of the plan's")
	f.StringVar(&m.reference, "client-reference", "", "your own `NAME` for the batch; it comes back in every report, and finds the batch again")
	aheadFlag(c, &m.sendAt, "send-at", "send it later")
	aheadFlag(c, &m.expireAt, "expire-at", "give up what is not delivered by then")
	f.StringArrayVar(&m.parameters, "param", nil, "`KEY:NUMBER=VALUE` for ${key} in the body, NUMBER being a recipient or default; repeatable")
	f.StringVar(&m.udh, "udh", "", "user data header of a binary message, in `HEX`")
	f.StringVar(&m.mediaURL, "media-url", "", "`URL` of the media of a media message")
	f.StringVar(&m.subject, "subject", "", "subject `TEXT` of a media message")
	f.BoolVar(&m.flash, "flash", false, "show the text at once and keep it nowhere")
	f.BoolVar(&m.truncate, "truncate", false, "cut the text to one part")
	f.IntVar(&m.parts, "max-parts", 0, "recipients whose text would take more than `N` parts get nothing")
	f.VisitAll(func(flag *pflag.Flag) {
		if !before[flag.Name] {
			m.own = append(m.own, flag.Name)
		}
	})
	f.StringVarP(&m.file, "file", "f", "", "`FILE` with the JSON body of Sinch's API, or - for standard input, instead of the flags of the message")
	choices(c, "type", "text", "binary", "media")
	choices(c, "delivery-report", reportKinds()...)
	noFiles(c, "from", "body", "callback-url", "client-reference", "param", "udh", "media-url", "subject")
	return m
}

func reportKinds() []string {
	return []string{
		string(sinch.ReportNone), string(sinch.ReportSummary), string(sinch.ReportFull),
		string(sinch.ReportPerRecipient), string(sinch.ReportPerRecipientFinal),
	}
}

// toFlag adds --to.
func (m *message) toFlag(c *cobra.Command) {
	c.Flags().StringSliceVar(&m.to, "to", nil, "`NUMBERS` and group ids, between commas; repeatable")
	noFiles(c, "to")
	m.own = append(m.own, "to")
}

// changeFlags adds what only an update has.
func (m *message) changeFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&m.toAdd, "to-add", nil, "`NUMBERS` and group ids to add, between commas; repeatable")
	f.StringSliceVar(&m.toRemove, "to-remove", nil, "`NUMBERS` and group ids to take out, between commas; repeatable")
	f.StringSliceVar(&m.clear, "clear", nil, "`MEMBERS` to set back to their default: delivery_report, send_at, expire_at, callback_url, parameters; repeatable")
	choices(c, "clear", "delivery_report", "send_at", "expire_at", "callback_url", "parameters")
	noFiles(c, "to-add", "to-remove")
	m.own = append(m.own, "to-add", "to-remove", "clear")
}

// given reports whether a flag was set, be it to its default.
func (m *message) given(name string) bool { return m.flags.Changed(name) }

// read returns the content of --file; false if there is none.
func (m *message) read(in io.Reader) ([]byte, bool, error) {
	if m.file == "" {
		return nil, false, nil
	}
	for _, name := range m.own {
		if m.given(name) {
			return nil, false, usageError{fmt.Errorf("--%s and --file: the file is the whole message; give only one of them", name)}
		}
	}
	content, err := readInput(m.file, in)
	if err != nil {
		return nil, false, usageError{fmt.Errorf("--file: %w", err)}
	}
	return content, true, nil
}

// message is the message as flags or file have it, checked as far as one can without Sinch.
func (m *message) message(in io.Reader) (sinch.Message, error) {
	content, found, err := m.read(in)
	if err != nil {
		return nil, err
	}
	var built sinch.Message
	if found {
		built, err = sinch.ParseMessage(content)
	} else {
		built, err = m.build()
	}
	if err == nil {
		err = built.Validate()
	}
	return built, m.wrong(err)
}

// wrong tells what the client refuses by the name under which it was given: the flag, or the member of the file.
func (m *message) wrong(err error) error {
	if m.file == "" {
		if invalid, ok := errors.AsType[*sinch.InvalidError](err); ok && slices.Contains(m.clear, invalid.Member) {
			return usageError{fmt.Errorf("--clear: %w", invalid)}
		}
		return wrongFlag(err)
	}
	if err == nil || errors.As(err, new(usageError)) {
		return err
	}
	name := m.file
	if name == "-" {
		name = "standard input"
	}
	return usageError{fmt.Errorf("%s: %w", name, err)}
}

// wrongFlag tells what the client refuses by the flag's name.
func wrongFlag(err error) error {
	invalid, ok := errors.AsType[*sinch.InvalidError](err)
	if !ok {
		return err
	}
	if invalid.Member == "" {
		return usageError{invalid}
	}
	return usageError{fmt.Errorf("%s: %s", flagOf(invalid.Member), invalid.Reason)}
}

// flagOf is the flag that sets a member of Sinch's API.
func flagOf(member string) string {
	of := map[string]string{
		"body.url": "media-url", "parameters": "param", "feedback_enabled": "feedback", "max_number_of_message_parts": "max-parts",
		"flash_message": "flash", "truncate_concat": "truncate", "number_of_recipients": "recipients",
		"start_date": "since", "end_date": "until",
	}
	if flag, found := of[member]; found {
		return "--" + flag
	}
	name := member
	if i := strings.IndexAny(member, ".["); i >= 0 {
		name = member[:i]
	}
	if flag, found := of[name]; found {
		return "--" + flag + member[len(name):]
	}
	return "--" + strings.ReplaceAll(name, "_", "-") + member[len(name):]
}
