package sinch

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Update says what of a batch is to change; what is nil stays as it is.
type Update struct {
	// Type is the kind of the batch's message. Left empty, Sinch takes the batch for a text, unless Binary, UDH or Media say
	// otherwise.
	Type             Type
	ToAdd            []string // numbers and group ids
	ToRemove         []string
	From             *string
	Text             *string // the body of a text
	Binary           []byte  // the body of a binary message
	UDH              []byte  // of a binary message
	Media            *Media  // the body of a media message
	Parameters       Parameters
	DeliveryReport   *DeliveryReport
	SendAt           *time.Time
	ExpireAt         *time.Time
	CallbackURL      *string
	ClientReference  *string
	FeedbackEnabled  *bool
	FlashMessage     *bool
	TruncateConcat   *bool
	StrictValidation *bool
	MaxParts         *int
	FromTON          *int
	FromNPI          *int

	// Clear names members to be set back to what they are in a batch that was sent without them: delivery_report, send_at,
	// expire_at, callback_url and parameters can be.
	Clear []string
	// Unknown are members that this package has no field for. They are sent as they are, unless a field says otherwise.
	Unknown map[string]json.RawMessage
}

// clearable are the members for which Sinch takes a null.
func clearable() []string {
	return []string{"callback_url", "delivery_report", "expire_at", "parameters", "send_at"}
}

// Validate returns an *InvalidError for the first rule of Sinch's that the update breaks, as far as one can know without
// Sinch and the batch. Client.Update asks it before it calls.
func (u Update) Validate() error {
	return firstOf(
		unknownRule("", u.Unknown),
		u.mediaRule(),
		u.timesRule(),
		u.emptyRule(),
		u.typeRule(),
		entriesRule("to_add", u.ToAdd),
		entriesRule("to_remove", u.ToRemove),
		u.emptiedRule(),
		kindRule(value(u.DeliveryReport)),
		urlRule("callback_url", value(u.CallbackURL)),
		lengthRule("client_reference", value(u.ClientReference), maxReference),
		lengthRule("body", value(u.Text), maxBody),
		binaryRule(u.Binary, u.UDH),
		parametersRule(u.Parameters),
		u.partsRule(),
		senderRule(u.FromTON, u.FromNPI),
		u.clearRule(),
	)
}

// emptyRule refuses an update that names nothing but a type.
func (u Update) emptyRule() error {
	u.Type = ""
	if b, err := u.MarshalJSON(); err != nil || string(b) != "{}" {
		return err
	}
	return invalid("", "the update is empty; set what is to change")
}

// typeRule holds one update to one kind of message.
func (u Update) typeRule() error {
	types := u.bodyTypes()
	switch t := u.kind(); {
	case len(types) > 1:
		return invalid("body", "an update has the body of one type of message; give only one of text, binary and media")
	case t != "" && !t.known():
		return invalid("type", unknownType)
	case len(types) == 1 && t != types[0]:
		return invalid("type", "it is not that of the body, which is %s", types[0])
	}
	return nil
}

// bodyTypes are the types of those bodies that are set.
func (u Update) bodyTypes() []Type {
	var types []Type
	if u.Text != nil {
		types = append(types, TypeText)
	}
	if u.Binary != nil || u.UDH != nil {
		types = append(types, TypeBinary)
	}
	if u.Media != nil {
		types = append(types, TypeMedia)
	}
	return types
}

// kind is Type, or what the body says of it.
func (u Update) kind() Type {
	if types := u.bodyTypes(); u.Type == "" && len(types) > 0 {
		return types[0]
	}
	return u.Type
}

// emptiedRule refuses what is set to nothing, which is not how Sinch clears a member.
func (u Update) emptiedRule() error {
	switch {
	case u.DeliveryReport != nil && *u.DeliveryReport == "":
		return invalid("delivery_report", "it is empty; clear it instead")
	case u.CallbackURL != nil && *u.CallbackURL == "":
		return invalid("callback_url", "it is empty; clear it instead")
	}
	return nil
}

func (u Update) timesRule() error {
	return firstOf(
		timeRule("send_at", u.SendAt),
		timeRule("expire_at", u.ExpireAt),
		validityRule(value(u.SendAt), value(u.ExpireAt)),
	)
}

// timeRule refuses a time that is set to zero, which JSON has no form for.
func timeRule(member string, t *time.Time) error {
	if t != nil && t.IsZero() {
		return invalid(member, "it is no time; clear it instead")
	}
	return nil
}

func (u Update) mediaRule() error {
	if u.Media == nil {
		return nil
	}
	return mediaRule(*u.Media)
}

func (u Update) partsRule() error {
	if u.MaxParts == nil {
		return nil
	}
	return partsRule(*u.MaxParts)
}

func (u Update) clearRule() error {
	given := u
	given.Clear = nil
	b, err := given.MarshalJSON()
	if err != nil {
		return err
	}
	members, err := parseMembers(b)
	for _, member := range u.Clear {
		_, found := members[member]
		switch {
		case !slices.Contains(clearable(), member):
			return invalid(clean(member, maxCode, nil), "it cannot be cleared; these can: %s", strings.Join(clearable(), ", "))
		case found:
			return invalid(member, "it is set and cleared at once; do one of them")
		}
	}
	return err
}

// MarshalJSON writes the update as Sinch reads it.
func (u Update) MarshalJSON() ([]byte, error) {
	others := u.Unknown
	if len(u.Clear) > 0 {
		others = maps.Clone(u.Unknown)
		if others == nil {
			others = map[string]json.RawMessage{}
		}
		for _, member := range u.Clear {
			others[member] = json.RawMessage("null")
		}
	}
	return u.wire().encode(others)
}

func (u Update) wire() wire {
	w := wire{
		Type: u.kind(), ToAdd: u.ToAdd, ToRemove: u.ToRemove, From: u.From,
		Parameters: u.Parameters, DeliveryReport: u.DeliveryReport,
		SendAt: timestamp(value(u.SendAt)), ExpireAt: timestamp(value(u.ExpireAt)),
		CallbackURL: u.CallbackURL, ClientReference: u.ClientReference, FeedbackEnabled: u.FeedbackEnabled,
		FlashMessage: u.FlashMessage, TruncateConcat: u.TruncateConcat, StrictValidation: u.StrictValidation,
		MaxParts: u.MaxParts, FromTON: u.FromTON, FromNPI: u.FromNPI,
	}
	switch {
	case u.Text != nil:
		w.Body = *u.Text
	case u.Binary != nil:
		w.Body = base64Text(u.Binary)
	case u.Media != nil:
		w.Body = *u.Media
	}
	if u.UDH != nil {
		w.UDH = hexText(u.UDH)
	}
	return w
}

// ParseUpdate reads the body of a request that updates a batch, as strictly as ParseMessage. A member that is null goes
// to Clear if Sinch takes a null for it, and reads as if it were missing otherwise, as far as it is known.
func ParseUpdate(body []byte) (Update, error) {
	o, err := parseObject(body)
	if err != nil {
		return Update{}, err
	}
	cleared := o.takeCleared()
	u := Update{
		Type:             o.messageType(),
		ToAdd:            value(o.texts("to_add")),
		ToRemove:         value(o.texts("to_remove")),
		From:             o.text("from"),
		Parameters:       o.parameters("parameters"),
		DeliveryReport:   (*DeliveryReport)(o.text("delivery_report")),
		SendAt:           o.moment("send_at"),
		ExpireAt:         o.moment("expire_at"),
		CallbackURL:      o.text("callback_url"),
		ClientReference:  o.text("client_reference"),
		FeedbackEnabled:  o.flag("feedback_enabled"),
		FlashMessage:     o.flag("flash_message"),
		TruncateConcat:   o.flag("truncate_concat"),
		StrictValidation: o.flag("strict_validation"),
		MaxParts:         o.integer("max_number_of_message_parts"),
		FromTON:          o.integer("from_ton"),
		FromNPI:          o.integer("from_npi"),
		Clear:            cleared,
	}
	switch u.Type {
	case TypeBinary:
		u.Binary, u.UDH = o.base64("body"), o.hex("udh")
	case TypeMedia:
		u.Media = o.media("body")
	default:
		u.Text = o.text("body")
	}
	if o.fault != nil {
		return Update{}, o.fault
	}
	u.Unknown = o.rest()
	return u, nil
}

// takeCleared takes every null, and returns which of them mean something.
func (o *object) takeCleared() []string {
	var cleared []string
	for _, member := range clearable() {
		if isNull(o.left[member]) {
			cleared = append(cleared, member)
		}
	}
	o.dropNulls()
	return slices.Clip(cleared)
}
