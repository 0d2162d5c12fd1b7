package sinch

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Update lists the changes that Client.Update makes to a batch. A field that is nil or zero changes nothing.
type Update struct {
	// Type is the kind of the batch's message. If it is empty, it follows from Binary, UDH or Media; without them Sinch
	// assumes a text message.
	Type             Type
	ToAdd            []string // phone numbers and group ids
	ToRemove         []string
	From             *string
	Text             *string // body of a text message
	Binary           []byte  // body of a binary message
	UDH              []byte  // user data header of a binary message
	Media            *Media  // body of a media message
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

	// Clear names members that return to their default, as if the batch had been sent without them. Only
	// delivery_report, send_at, expire_at, callback_url and parameters can be cleared.
	Clear []string
	// Unknown holds members without a field. They are sent unchanged, unless a field with that name is set.
	Unknown map[string]json.RawMessage
}

// clearable returns the names that Update.Clear may contain: the JSON members that Sinch accepts as null.
func clearable() []string {
	return []string{"callback_url", "delivery_report", "expire_at", "parameters", "send_at"}
}

// Validate returns an *InvalidError for the first rule of Sinch's that the update breaks. It cannot check rules that
// depend on the batch. Client.Update calls it first.
func (u Update) Validate() error {
	return firstError(
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

// emptyRule returns an error if the update changes nothing: no field except Type is set.
func (u Update) emptyRule() error {
	u.Type = ""
	if b, err := u.MarshalJSON(); err != nil || string(b) != "{}" {
		return err
	}
	return invalid("", "the update is empty; set what is to change")
}

// typeRule returns an error if the update has more than one body, or if Type is unknown or is not the type of the body.
func (u Update) typeRule() error {
	types := u.bodyTypes()
	switch t := u.kind(); {
	case len(types) > 1:
		return invalid("body", "an update has the body of one type of message; give only one of text, binary and media")
	case t != "" && !t.known():
		return invalid("type", unknownType)
	case len(types) == 1 && t != types[0]:
		return invalid("type", "it does not match the body, which is %s", types[0])
	}
	return nil
}

// bodyTypes returns the message types of the bodies that are set. A valid update has at most one body.
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

// kind returns the field Type or, if that is empty, the type of the body. It returns "" if there is no body either.
func (u Update) kind() Type {
	if types := u.bodyTypes(); u.Type == "" && len(types) > 0 {
		return types[0]
	}
	return u.Type
}

// emptiedRule returns an error if DeliveryReport or CallbackURL points to "". To remove these, the caller uses Clear.
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
	return firstError(
		timeRule("send_at", u.SendAt),
		timeRule("expire_at", u.ExpireAt),
		validityRule(value(u.SendAt), value(u.ExpireAt)),
	)
}

// timeRule returns an error if t points to the zero time, which cannot be sent. It accepts nil, which means not set.
func timeRule(member string, t *time.Time) error {
	if t != nil && t.IsZero() {
		return invalid(member, "the zero time cannot be sent; clear it instead")
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
			return invalid(Clean(member, maxCode, nil), "it cannot be cleared; these can: %s", strings.Join(clearable(), ", "))
		case found:
			return invalid(member, "it is set and cleared at once; do one of them")
		}
	}
	return err
}

// MarshalJSON encodes the update as the JSON body of a request to Sinch. The members named in Clear are null.
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

// ParseUpdate decodes the JSON body of a request that updates a batch. Invalid JSON or a member of the wrong type is an
// *InvalidError. A member that is null is added to Update.Clear if it can be cleared, and is ignored otherwise.
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

// takeCleared removes the members that are null, and returns the names of those that Update.Clear may contain.
func (o *object) takeCleared() []string {
	var cleared []string
	for _, member := range clearable() {
		if isNull(o.unread[member]) {
			cleared = append(cleared, member)
		}
	}
	o.dropNulls()
	return slices.Clip(cleared)
}
