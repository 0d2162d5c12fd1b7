package sinch

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2025, 8, 20, 12, 0, 0, 0, time.UTC)

func text(change func(*TextMessage)) Message {
	m := &TextMessage{Options: Options{To: []string{"447700900118"}}, Body: "x"}
	change(m)
	return m
}

func binary(change func(*BinaryMessage)) Message {
	m := &BinaryMessage{Options: Options{To: []string{"447700900118"}}, Body: []byte("x")}
	change(m)
	return m
}

func media(change func(*MediaMessage)) Message {
	m := &MediaMessage{Options: Options{To: []string{"447700900118"}}, Body: Media{URL: "https://m.example.com/a.png"}}
	change(m)
	return m
}

func numbers(n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("4477009%05d", i)
	}
	return to
}

// longURL returns a URL of n characters.
func longURL(n int) string {
	const start = "https://h.example.com/"
	return start + strings.Repeat("a", n-len(start))
}

func TestMessagesThatBreakARule(t *testing.T) {
	for want, m := range map[string]Message{
		"the message is missing":                             nil,
		"to: it is empty; name at least one number or group": text(func(m *TextMessage) { m.To = nil }),
		"to: it has more than 1000 entries; divide them": text(func(m *TextMessage) {
			m.To = numbers(1001)
		}),
		"to[1]: it is blank": binary(func(m *BinaryMessage) {
			m.To = []string{"447700900118", "\t "}
		}),
		"delivery_report: use none, summary, full, per_recipient or per_recip": media(func(m *MediaMessage) {
			m.DeliveryReport = "everything"
		}),
		"expire_at: it must be after send_at": text(func(m *TextMessage) {
			m.SendAt, m.ExpireAt = noon, noon
		}),
		"expire_at: it is more than 3 days after send_at": text(func(m *TextMessage) {
			m.SendAt, m.ExpireAt = noon, noon.Add(72*time.Hour+time.Millisecond)
		}),
		"callback_url: it must be an http:// or https:// URL with a host": text(func(m *TextMessage) {
			m.CallbackURL = "hooks.example.com/447700900118"
		}),
		"callback_url: it is longer than 2048 characters": text(func(m *TextMessage) {
			m.CallbackURL = longURL(2049)
		}),
		"client_reference: it is longer than 2048 characters": text(func(m *TextMessage) {
			m.ClientReference = strings.Repeat("é", 2049)
		}),
		"brand: it is not JSON": text(func(m *TextMessage) {
			m.Unknown = rawMembers("brand", `{`)
		}),
		"120******62: it is not JSON": text(func(m *TextMessage) {
			m.Unknown = rawMembers("12025550162", ``)
		}),
		"body: it is longer than 2000 characters": text(func(m *TextMessage) {
			m.Body = strings.Repeat("é", 2001)
		}),
		"parameters.: a key must have 1 to 16": text(func(m *TextMessage) {
			m.Parameters = Parameters{"": {}}
		}),
		"parameters.a b: a key must have 1 to 16 of the characters": text(func(m *TextMessage) {
			m.Parameters = Parameters{"a b": {}, "ok": {}}
		}),
		"parameters.123************67: a key must have 1 to 16": text(func(m *TextMessage) {
			m.Parameters = Parameters{"12345678901234567": {}}
		}),
		"parameters.name: a value is given for a blank recipient": media(func(m *MediaMessage) {
			m.Parameters = Parameters{"name": {" ": "x"}}
		}),
		"max_number_of_message_parts: it must be at least 1": text(func(m *TextMessage) { m.MaxParts = -1 }),
		"from_ton: it must be between 0 and 6":               text(func(m *TextMessage) { m.FromTON = new(7) }),
		"from_npi: it must be between 0 and 18": binary(func(m *BinaryMessage) {
			m.FromNPI = new(-1)
		}),
		"body: it has more than 140 bytes together with udh": binary(func(m *BinaryMessage) {
			m.Body, m.UDH = make([]byte, 135), make([]byte, 6)
		}),
		"body.url: it is missing": media(func(m *MediaMessage) { m.Body.URL = "" }),
		"body.url: it must be an http:// or https:// URL": media(func(m *MediaMessage) {
			m.Body.URL = "file:///a.png"
		}),
		"body.alt: it is not JSON": media(func(m *MediaMessage) {
			m.Body.Unknown = rawMembers("alt", `x`)
		}),
	} {
		t.Run(want, func(t *testing.T) {
			u := newUpstream(t, respond(http.StatusCreated, `{"id":"b"}`))
			c := u.client(t)
			_, sent := c.Send(t.Context(), m)
			_, tried := c.DryRun(t.Context(), m, DryRunQuery{})
			_, replaced := c.Replace(t.Context(), testBatch, m)
			for operation, err := range map[Operation]error{SendBatch: sent, DryRunBatch: tried, ReplaceBatch: replaced} {
				requireInvalid(t, err, want)
				assert.ErrorContains(t, err, "sinch: "+string(operation)+": "+want)
			}
			require.Empty(t, u.requests(), "no call was made")
		})
	}
}

var wholeNumber = regexp.MustCompile(`[0-9]{7}`)

func requireInvalid(t *testing.T, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*InvalidError](err)
	require.True(t, ok, "%v", err)
	require.Contains(t, e.Error(), want)
	require.NotEmpty(t, e.Reason)
	require.NotRegexp(t, wholeNumber, err.Error())
}

func TestMessagesAtTheirLimits(t *testing.T) {
	for _, m := range []Message{
		text(func(m *TextMessage) { m.To = numbers(1000) }),
		text(func(m *TextMessage) { m.SendAt, m.ExpireAt = noon, noon.Add(72*time.Hour) }),
		text(func(m *TextMessage) { m.ExpireAt = noon }),
		text(func(m *TextMessage) { m.CallbackURL = longURL(2048) }),
		text(func(m *TextMessage) { m.ClientReference = strings.Repeat("é", 2048) }),
		text(func(m *TextMessage) { m.Body = strings.Repeat("é", 2000) }),
		text(func(m *TextMessage) { m.Body = "" }),
		text(func(m *TextMessage) { m.Parameters = Parameters{"Az09.-_4567890AZ": {"default": ""}} }),
		text(func(m *TextMessage) { m.MaxParts, m.FromTON, m.FromNPI = 1, new(6), new(18) }),
		binary(func(m *BinaryMessage) { m.Body, m.UDH = make([]byte, 134), make([]byte, 6) }),
		media(func(m *MediaMessage) { m.Body.URL = longURL(2048) }),
	} {
		require.NoError(t, m.Validate())
	}
}

// A request can be too large although each member is within its limit.
func TestRequestsAreBounded(t *testing.T) {
	u := newUpstream(t, respond(http.StatusCreated, `{"id":"b"}`))
	c := u.client(t, func(c *Config) { c.MaxRequest = 100 })
	m := text(func(m *TextMessage) { m.Body = "" })
	_, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	size := len(u.requests()[0].Body)

	m.(*TextMessage).Body = strings.Repeat("x", 100-size)
	_, err = c.Send(t.Context(), m)
	require.NoError(t, err)
	require.Len(t, u.requests()[1].Body, 100)

	m.(*TextMessage).Body += "x"
	_, err = c.Send(t.Context(), m)
	requireInvalid(t, err, "the request has more than 100 bytes; divide it among several batches")
	require.Len(t, u.requests(), 2)
}
