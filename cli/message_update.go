package cli

import (
	"io"
	"slices"

	"github.com/dlrloop/dlrloop/sinch"
)

// update returns the change of a batch that the flags or --file define, after all checks that need no call to Sinch. An
// invalid change is a usageError. It reads stdin if --file is "-".
func (m *message) update(stdin io.Reader) (sinch.Update, error) {
	content, found, err := m.read(stdin)
	if err != nil {
		return sinch.Update{}, err
	}
	var u sinch.Update
	if found {
		u, err = sinch.ParseUpdate(content)
	} else {
		u, err = m.buildUpdate()
	}
	if err == nil {
		err = u.Validate()
	}
	return u, m.inputError(err)
}

func (m *message) buildUpdate() (sinch.Update, error) {
	parameters, err := m.parseParameters()
	if err != nil {
		return sinch.Update{}, err
	}
	t, err := m.messageType()
	if err != nil {
		return sinch.Update{}, err
	}
	u := sinch.Update{
		Type: t, ToAdd: m.toAdd, ToRemove: m.toRemove, Parameters: parameters, Clear: m.clear,
		From:            whenGiven(m, "from", m.from),
		DeliveryReport:  whenGiven(m, "delivery-report", sinch.DeliveryReport(m.report)),
		SendAt:          whenGiven(m, "send-at", m.sendAt),
		ExpireAt:        whenGiven(m, "expire-at", m.expireAt),
		CallbackURL:     whenGiven(m, "callback-url", m.callback),
		ClientReference: whenGiven(m, "client-reference", m.reference),
		FeedbackEnabled: whenGiven(m, "feedback", m.feedback),
		FlashMessage:    whenGiven(m, "flash", m.flash),
		TruncateConcat:  whenGiven(m, "truncate", m.truncate),
		MaxParts:        whenGiven(m, "max-parts", m.parts),
	}
	return u, m.updateBody(&u)
}

// updateBody sets the new content of the batch in u, if the flags define any: u.Text, u.Media, or both u.Binary and
// u.UDH. The other fields of u stay unchanged.
func (m *message) updateBody(u *sinch.Update) (err error) {
	media := slices.ContainsFunc([]string{"media-url", "subject"}, m.given)
	switch {
	case u.Type == sinch.TypeBinary && (m.given("body") || m.given("udh")):
		u.Binary, u.UDH, err = m.binary()
	case media || u.Type == sinch.TypeMedia && m.given("body"):
		u.Media = &sinch.Media{URL: m.mediaURL, Message: m.body, Subject: m.subject}
	default:
		u.Text = whenGiven(m, "body", m.body)
	}
	return err
}

// whenGiven returns a pointer to value if the user set the named flag, else nil. In a sinch.Update nil means unchanged.
func whenGiven[T any](m *message, name string, value T) *T {
	if !m.given(name) {
		return nil
	}
	return &value
}
