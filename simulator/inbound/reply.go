package inbound

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Delivered describes a delivered message, to which its recipient may reply. All fields except ClientReference are
// required.
type Delivered struct {
	Batch           string
	Sender          string // to which the recipient replies, if it is a number or a short code
	Recipient       string // digits
	ClientReference string // of the batch; may be empty
	At              time.Time
	Subject         random.Subject // identifies the message; Turn is 0
}

// Reply schedules, with the probability Config.Replies, the callback about a reply to the delivered message d. It does
// nothing if d.Sender is not a number, since a phone cannot reply to other senders, or if the plan has no callback URL.
func (p *Plan) Reply(d Delivered) {
	if p.config.Replies == 0 || p.config.Random.Float64("reply", d.Subject) >= p.config.Replies {
		return
	}
	if _, isNumber := xms.Digits(d.Sender); !isNumber || !p.account.HasURL() {
		return
	}
	paces := 2.0
	if !p.config.Calm {
		paces = 1 + 2*p.config.Random.Float64("reply pace", d.Subject)
	}
	at := d.At.Add(time.Duration(paces * float64(p.config.Pace)))
	of := d.Subject
	of.Recipient = "inbound " + of.Recipient // so that the callback has other nonces than the delivery report
	p.send(p.compose(d, at), of, d.Batch, at)
}

// The texts of replies. Those in stopTexts ask to get no more messages. Those in replyTexts are hard for a receiver:
// for example an empty text, two parts, characters outside the GSM alphabet, quotes, or digits that look like a JSON
// number.
var (
	stopTexts  = []string{"STOP", "Stop", "stop please", "STOP – thanks 👋", "UNSUBSCRIBE"}
	replyTexts = []string{
		"YES", "ok, thanks", "Who is this?", "Ναι, στις 5", "مرحبا، شكرا", "👍🏽", "\"quoted\" \\ and\nnew line", "", "0123",
		"I cannot come on Tuesday, since the train is late again and the next one leaves after the office has closed. " +
			"Could we please meet on Wednesday at half past nine instead, at the same place?",
	}
)

// compose returns the reply to d, received at the given time. The seed selects type, text and optional fields: eight of
// ten replies are mo_text, one is mo_binary and one mo_media. A third of the texts ask to stop.
func (p *Plan) compose(d Delivered, at time.Time) Message {
	choose := func(what string, n int) int { return int(p.config.Random.Uint64("reply "+what, d.Subject) % uint64(n)) }
	m := Message{Type: typeText, From: d.Recipient, To: d.Sender}
	switch kind := choose("type", 10); {
	case kind == 0:
		m.Type, m.UDH, m.Body = typeBinary, "0605040b8423f0", json.RawMessage(`"AAECAwT/"`)
	case kind == 1:
		m.Type, m.Body = typeMedia, mediaBody(choose("media", 1000))
	case choose("stop", 3) == 0:
		m.Body = xms.Encode(stopTexts[choose("text", len(stopTexts))])
	default:
		m.Body = xms.Encode(replyTexts[choose("text", len(replyTexts))])
	}
	if choose("operator", 2) == 0 {
		m.OperatorID = "310260"
	}
	if choose("reference", 2) == 0 {
		m.ClientReference = d.ClientReference
	}
	if choose("sent at", 2) == 0 {
		sent := at.Add(-time.Second).Truncate(time.Second)
		m.SentAt = &sent
	}
	return m
}

// mediaBody returns the body of an mo_media with a picture that Sinch has stored and a video that Sinch could not
// store. n is part of the picture's URL.
func mediaBody(n int) json.RawMessage {
	type medium struct {
		URL         string `json:"url,omitempty"`
		ContentType string `json:"content_type"`
		Status      string `json:"status"`
		Code        int    `json:"code"`
	}
	return xms.Encode(map[string]any{
		"subject": "re: your message", "message": "see attached",
		"media": []medium{
			{fmt.Sprintf("https://media.example.com/in/%d.jpg", n), "image/jpeg", "Uploaded", 0},
			{"", "video/3gpp", "Failed", 2},
		},
	})
}
