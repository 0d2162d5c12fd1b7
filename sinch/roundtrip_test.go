package sinch

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// knownMembers returns the members that Batch has fields for.
func knownMembers() []string {
	return []string{
		"id", "type", "to", "from", "body", "udh", "parameters", "delivery_report", "send_at", "expire_at", "callback_url",
		"client_reference", "feedback_enabled", "canceled", "created_at", "modified_at", "flash_message", "truncate_concat",
		"strict_validation", "max_number_of_message_parts", "from_ton", "from_npi",
	}
}

// anyJSON generates JSON values of any kind except null.
func anyJSON() *rapid.Generator[json.RawMessage] {
	return rapid.Map(rapid.Deferred(func() *rapid.Generator[any] {
		scalar := rapid.OneOf(
			rapid.Map(rapid.String(), func(s string) any { return strings.ToValidUTF8(s, "") }),
			rapid.Map(rapid.Int32(), func(i int32) any { return i }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.SampledFrom([]any{
				"true", "5", "2025-08-20T05:30:00.000Z", "mt_text", -0.5,
				map[string]any{"n": map[string]any{"default": "x"}},
			}),
		)
		return rapid.OneOf(
			scalar,
			rapid.Map(rapid.SliceOfN(scalar, 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.StringN(0, 8, -1), scalar, 0, 3), func(m map[string]any) any { return m }),
		)
	}), func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return b
	})
}

func memberName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(knownMembers()),
		rapid.SampledFrom([]string{"tags", "ID", "To", "total", "é", ""}), rapid.StringN(0, 12, -1))
}

// For any JSON object, decoding and encoding a batch keeps the members that this package does not understand, and
// repeating both changes nothing.
func TestBatchesSurviveDecodingAndEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.MapOf(memberName(), anyJSON()).Draw(t, "members")
		b, err := json.Marshal(sent)
		require.NoError(t, err)

		first, err := ParseBatch(b)
		require.NoError(t, err)
		written, err := json.Marshal(first)
		require.NoError(t, err)
		second, err := ParseBatch(written)
		require.NoError(t, err)
		require.Equal(t, canonical(t, first), canonical(t, second))

		var got map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(written, &got))
		known := map[string]bool{}
		for _, name := range knownMembers() {
			known[name] = true
		}
		for name, raw := range sent {
			if !known[name] {
				require.JSONEq(t, string(raw), string(got[name]), name)
			}
		}
	})
}

// canonical returns b with its raw members in canonical JSON.
func canonical(t *rapid.T, b *Batch) Batch {
	c := *b
	c.Unknown = maps.Clone(c.Unknown)
	for name, raw := range c.Unknown {
		c.Unknown[name] = same(t, raw)
	}
	if c.Body != nil {
		c.Body = same(t, c.Body)
	}
	if len(c.Parameters) == 0 {
		c.Parameters = nil
	}
	return c
}

func same(t *rapid.T, raw json.RawMessage) json.RawMessage {
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func drawOptions(t *rapid.T) Options {
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(1, 253402300799999).Draw(t, "ms")).UTC()
	})
	o := Options{
		To:              rapid.SliceOfN(rapid.StringMatching(`\+?[0-9]{3,15}|[A-Z0-9]{26}`), 1, 5).Draw(t, "to"),
		From:            rapid.StringN(0, 11, -1).Draw(t, "from"),
		DeliveryReport:  DeliveryReport(rapid.SampledFrom([]string{"", "none", "full"}).Draw(t, "report")),
		CallbackURL:     rapid.String().Draw(t, "url"),
		ClientReference: rapid.String().Draw(t, "reference"),
		FeedbackEnabled: rapid.Bool().Draw(t, "feedback"),
	}
	if rapid.Bool().Draw(t, "times") {
		o.SendAt, o.ExpireAt = at.Draw(t, "send_at"), at.Draw(t, "expire_at")
	}
	for name, raw := range rapid.MapOfN(rapid.StringMatching(`x[a-zé]{0,5}`), anyJSON(), 0, 3).Draw(t, "unknown") {
		if o.Unknown == nil {
			o.Unknown = map[string]json.RawMessage{}
		}
		o.Unknown[name] = same(t, raw)
	}
	return o
}

// Every message is decoded from its encoding unchanged, whatever its strings contain.
func TestMessagesSurviveEncodingAndDecoding(t *testing.T) {
	small := rapid.Ptr(rapid.IntRange(0, 18), true)
	bytes := rapid.SliceOfN(rapid.Byte(), 0, 140)
	parameters := rapid.Custom(func(t *rapid.T) Parameters {
		p := rapid.MapOfN(rapid.StringN(0, 16, -1), rapid.MapOfN(rapid.String(), rapid.String(), 0, 3), 0, 3).Draw(t, "p")
		if len(p) == 0 {
			return nil
		}
		return Parameters(p)
	})
	rapid.Check(t, func(t *rapid.T) {
		var m Message
		switch rapid.IntRange(0, 2).Draw(t, "type") {
		case 0:
			m = &TextMessage{
				Options: drawOptions(t), Body: rapid.String().Draw(t, "body"), Parameters: parameters.Draw(t, "parameters"),
				FlashMessage: rapid.Bool().Draw(t, "flash"), TruncateConcat: rapid.Bool().Draw(t, "truncate"),
				MaxParts: rapid.IntRange(0, 9).Draw(t, "parts"), FromTON: small.Draw(t, "ton"), FromNPI: small.Draw(t, "npi"),
			}
		case 1:
			m = &BinaryMessage{
				Options: drawOptions(t), Body: bytes.Draw(t, "body"), UDH: bytes.Draw(t, "udh"),
				FromTON: small.Draw(t, "ton"), FromNPI: small.Draw(t, "npi"),
			}
		default:
			m = &MediaMessage{
				Options: drawOptions(t), Parameters: parameters.Draw(t, "parameters"), StrictValidation: rapid.Bool().Draw(t,
					"strict"),
				Body: Media{
					URL: rapid.String().Draw(t, "url"), Message: rapid.String().Draw(t, "message"),
					Subject: rapid.String().Draw(t, "subject"),
				},
			}
		}
		written, err := json.Marshal(m)
		require.NoError(t, err)
		back, err := ParseMessage(written)
		require.NoError(t, err)
		for name, raw := range back.Common().Unknown {
			back.Common().Unknown[name] = same(t, raw)
		}
		require.Equal(t, m, back)
	})
}

// Any request body is either decoded or refused by an InvalidError without a whole phone number.
func TestAnyRequestIsDecodedOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, err := json.Marshal(rapid.MapOf(memberName(), anyJSON()).Draw(t, "members"))
		require.NoError(t, err)
		if at := rapid.IntRange(0, 3*len(b)).Draw(t, "cut"); at < len(b) {
			b = b[:at]
		}
		if m, err := ParseMessage(b); err == nil {
			require.NotNil(t, m)
			err = m.Validate()
			requireReason(t, err)
		} else {
			requireReason(t, err)
		}
		if u, err := ParseUpdate(b); err == nil {
			requireReason(t, u.Validate())
		} else {
			requireReason(t, err)
		}
	})
}

func requireReason(t *rapid.T, err error) {
	if err == nil {
		return
	}
	require.ErrorAs(t, err, new(*InvalidError))
	require.NotRegexp(t, wholeNumber, err.Error())
}
