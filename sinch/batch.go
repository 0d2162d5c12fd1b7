package sinch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/dlr"
)

// Batch is what Sinch says of a batch. Zero members were not set or not readable; times are UTC, cut to the millisecond.
type Batch struct {
	ID              string
	Type            string // mt_text, mt_binary, mt_media
	Recipients      int    // entries in to: numbers and groups
	FeedbackEnabled bool
	ReportKind      string // delivery_report: none, summary, full, per_recipient, per_recipient_final
	ClientReference string // at most 2048 characters
	CallbackURL     string
	Canceled        bool
	CreatedAt       time.Time
	ModifiedAt      time.Time
	SendAt          time.Time
	ExpireAt        time.Time
}

// GetBatch reads one batch. Sinch keeps a batch for 14 days; a batch it does not know is an Error of status 404.
func (c *Client) GetBatch(ctx context.Context, batchID string) (*Batch, error) {
	path, err := batchPath(batchID, "")
	if err != nil {
		return nil, failed(GetBatch, err)
	}
	a, err := c.read(ctx, GetBatch, path)
	if err != nil {
		return nil, err
	}
	b, err := parseBatch(a.body)
	if err == nil && b.ID != batchID {
		err = errOtherBatch
	}
	if err != nil {
		return nil, c.unreadable(GetBatch, a, err)
	}
	return b, nil
}

// errOtherBatch guards against whoever answers 200 to everything: read as a batch, such an answer would say that no
// feedback is wanted.
var errOtherBatch = errors.New("it is not about the batch asked for")

// batchPath is the path of a batch and what follows it, which is escaped already.
func batchPath(batchID, rest string) (string, error) {
	segment, err := escape(batchID)
	if err != nil {
		return "", err
	}
	return "/batches/" + segment + rest, nil
}

type wireBatch struct {
	ID              text              `json:"id"`
	Type            text              `json:"type"`
	To              []json.RawMessage `json:"to"`
	FeedbackEnabled flag              `json:"feedback_enabled"`
	DeliveryReport  text              `json:"delivery_report"`
	ClientReference text              `json:"client_reference"`
	CallbackURL     text              `json:"callback_url"`
	Canceled        flag              `json:"canceled"`
	CreatedAt       moment            `json:"created_at"`
	ModifiedAt      moment            `json:"modified_at"`
	SendAt          moment            `json:"send_at"`
	ExpireAt        moment            `json:"expire_at"`
}

func parseBatch(body []byte) (*Batch, error) {
	var w wireBatch
	if err := json.Unmarshal(body, &w); err != nil {
		// A member of another type stays as it is.
		if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok || mismatch.Field == "" {
			return nil, err
		}
	}
	return &Batch{
		ID:              string(w.ID),
		Type:            string(w.Type),
		Recipients:      len(w.To),
		FeedbackEnabled: bool(w.FeedbackEnabled),
		ReportKind:      string(w.DeliveryReport),
		ClientReference: cut(string(w.ClientReference), maxReference),
		CallbackURL:     string(w.CallbackURL),
		Canceled:        bool(w.Canceled),
		CreatedAt:       time.Time(w.CreatedAt),
		ModifiedAt:      time.Time(w.ModifiedAt),
		SendAt:          time.Time(w.SendAt),
		ExpireAt:        time.Time(w.ExpireAt),
	}, nil
}

// maxReference is Sinch's own limit for a client_reference, in characters.
const maxReference = 2048

func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit])
}

// text is a JSON string, or a JSON number as it is written; any other value reads as empty. It has no NUL, which
// PostgreSQL could not keep.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch c := b[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(strings.ReplaceAll(s, "\x00", "\ufffd"))
	case c == '-' || c >= '0' && c <= '9':
		*t = text(b)
	}
	return nil
}

// flag is a JSON true, or a string that says so.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	*f = flag(bytes.EqualFold(bytes.Trim(b, `"`), []byte("true")))
	return nil
}

// moment is a timestamp as dlr reads it; anything else is zero.
type moment time.Time

func (m *moment) UnmarshalJSON(b []byte) error {
	var s text
	if err := s.UnmarshalJSON(b); err != nil {
		return err
	}
	t, _ := dlr.ParseTime(string(s))
	*m = moment(t)
	return nil
}
