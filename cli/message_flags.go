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

// message holds the values of the flags that define a message to send, or a change of a message. Parsing the command
// line fills it.
type message struct {
	flags *pflag.FlagSet
	own   []string // names of all flags below except file
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

// messageFlags adds the flags of a message that the commands batch send, dry-run, replace and update share. Parsing the
// command line fills the returned message.
func messageFlags(c *cobra.Command) *message {
	m := &message{flags: c.Flags()}
	f := c.Flags()
	before := map[string]bool{}
	f.VisitAll(func(flag *pflag.Flag) { before[flag.Name] = true })
	f.StringVar(&m.from, "from", "", "sender: a number, a short code or a `NAME` (default: the plan's default originator)")
	f.StringVar(&m.body, "body", "", "`TEXT` of the message, with ${key} for parameters; base64 for a binary "+
		"message; the text that accompanies media")
	f.StringVar(&m.kind, "type", "", "`TYPE` of the message: text, binary or media (default text)")
	f.StringVar(&m.report, "delivery-report", "", "`KIND` of reports that Sinch sends to the webhook: none, "+
		"summary, full, per_recipient or per_recipient_final (default none)")
	f.BoolVar(&m.feedback, "feedback", false, "announce delivery feedback (feedback_enabled)")
	f.StringVar(&m.callback, "callback-url", "", "`URL` for the reports of this batch, instead of the plan's")
	f.StringVar(&m.reference, "client-reference", "",
		"your own `NAME` of the batch, which every report repeats and batch list finds")
	futureFlag(c, &m.sendAt, "send-at", "time to send it")
	futureFlag(c, &m.expireAt, "expire-at", "time after which undelivered messages expire")
	f.StringArrayVar(&m.parameters, "param", nil, "`KEY:NUMBER=VALUE` for ${key} in the body, NUMBER being a "+
		"recipient or default; repeatable")
	f.StringVar(&m.udh, "udh", "", "user data header of a binary message, in `HEX`")
	f.StringVar(&m.mediaURL, "media-url", "", "`URL` of the media of a media message")
	f.StringVar(&m.subject, "subject", "", "subject `TEXT` of a media message")
	f.BoolVar(&m.flash, "flash", false, "flash message: displayed at once and not saved")
	f.BoolVar(&m.truncate, "truncate", false, "truncate the text to one part")
	f.IntVar(&m.parts, "max-parts", 0, "send nothing to recipients whose text needs more than `N` parts")
	f.VisitAll(func(flag *pflag.Flag) {
		if !before[flag.Name] {
			m.own = append(m.own, flag.Name)
		}
	})
	f.StringVarP(&m.file, "file", "f", "", "`FILE` with the JSON body of Sinch's API, or - for standard input; "+
		"replaces the flags of the message")
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

// toFlag adds --to, the recipients of a message. All commands with a message have it except batch update, which has
// --to-add and --to-remove.
func (m *message) toFlag(c *cobra.Command) {
	c.Flags().StringSliceVar(&m.to, "to", nil, "`NUMBERS` and group ids, separated by commas; repeatable")
	noFiles(c, "to")
	m.own = append(m.own, "to")
}

// changeFlags adds --to-add, --to-remove and --clear, which only batch update has.
func (m *message) changeFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&m.toAdd, "to-add", nil, "`NUMBERS` and group ids to add, separated by commas; repeatable")
	f.StringSliceVar(&m.toRemove, "to-remove", nil, "`NUMBERS` and group ids to remove, separated by commas; repeatable")
	f.StringSliceVar(&m.clear, "clear", nil, "`MEMBERS` to reset to their default: delivery_report, send_at, "+
		"expire_at, callback_url, parameters; repeatable")
	choices(c, "clear", "delivery_report", "send_at", "expire_at", "callback_url", "parameters")
	noFiles(c, "to-add", "to-remove")
	m.own = append(m.own, "to-add", "to-remove", "clear")
}

// given reports whether the user set the flag with this name, even to its default value.
func (m *message) given(name string) bool { return m.flags.Changed(name) }

// read returns the content of --file, or of stdin if --file is "-". It returns false if --file is not set. It is an
// error to set another flag of the message together with --file.
func (m *message) read(stdin io.Reader) ([]byte, bool, error) {
	if m.file == "" {
		return nil, false, nil
	}
	for _, name := range m.own {
		if m.given(name) {
			return nil, false, usageError{fmt.Errorf("--%s and --file: the file is the complete message; set only one of them",
				name)}
		}
	}
	content, err := readInput(m.file, stdin)
	if err != nil {
		return nil, false, usageError{fmt.Errorf("--file: %w", err)}
	}
	return content, true, nil
}

// message returns the message that the flags or --file define, after all checks that need no call to Sinch. An invalid
// message is a usageError. It reads stdin if --file is "-".
func (m *message) message(stdin io.Reader) (sinch.Message, error) {
	content, found, err := m.read(stdin)
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
	return built, m.inputError(err)
}

// inputError turns an error in the message into a usageError that names the flag or the file. It returns nil if err is
// nil.
func (m *message) inputError(err error) error {
	if m.file == "" {
		if invalid, ok := errors.AsType[*sinch.InvalidError](err); ok && slices.Contains(m.clear, invalid.Member) {
			return usageError{fmt.Errorf("--clear: %w", invalid)}
		}
		return flagError(err)
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

// flagError turns a *sinch.InvalidError, which names a member of Sinch's API, into a usageError that names the flag for
// this member. It returns other errors, and nil, unchanged.
func flagError(err error) error {
	invalid, ok := errors.AsType[*sinch.InvalidError](err)
	if !ok {
		return err
	}
	if invalid.Member == "" {
		return usageError{invalid}
	}
	return usageError{fmt.Errorf("%s: %s", flagOf(invalid.Member), invalid.Reason)}
}

// flagOf returns the flag for a member or parameter of Sinch's API: "--max-parts" for "max_number_of_message_parts".
// Most flags have the name of the member, but with dashes: "--client-reference" for "client_reference".
func flagOf(member string) string {
	of := map[string]string{
		"body.url": "media-url", "parameters": "param", "feedback_enabled": "feedback",
		"max_number_of_message_parts": "max-parts",
		"flash_message":               "flash", "truncate_concat": "truncate", "number_of_recipients": "recipients",
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
