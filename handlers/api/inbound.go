package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// inboundView is the JSON of an inbound message, which a phone sent to the service plan. SentAt is when the phone sent
// it, ReceivedAt when Sinch received it, and ArrivedAt when dlrloop received Sinch's callback.
type inboundView struct {
	Plan            string   `json:"plan"`
	ID              string   `json:"id"`
	Type            dlr.Type `json:"type"`
	From            string   `json:"from,omitempty"`
	To              string   `json:"to,omitempty"`
	Text            string   `json:"text,omitempty"`
	ClientReference string   `json:"client_reference,omitempty"`
	Operator        string   `json:"operator_id,omitempty"`
	ArrivedAt       instant  `json:"arrived_at"`
	ReceivedAt      instant  `json:"received_at,omitzero"`
	SentAt          instant  `json:"sent_at,omitzero"`
	rawBytes
}

func viewInbound(m store.InboundMessage) inboundView {
	return inboundView{
		Plan: m.Plan, ID: m.ID, Type: m.Type, From: m.From, To: m.To, Text: m.Text,
		ClientReference: m.ClientReference, Operator: m.Operator,
		ArrivedAt: instant{m.ArrivedAt}, ReceivedAt: instant{m.ReceivedAt}, SentAt: instant{m.SentAt},
		rawBytes: showRaw(m.Raw),
	}
}

func (p *API) inboundMessages(ctx context.Context, a *request) (any, error) {
	q := store.InboundQuery{
		Plan:   a.text("plan"),
		Number: a.text("number"),
		From:   a.time("from"),
		To:     a.time("to"),
		Paging: a.paging(),
	}
	a.ordered(q.From, q.To)
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.InboundMessages(ctx, q)
	if err != nil {
		return nil, failed("list inbound messages", err)
	}
	return viewPage(page, viewInbound), nil
}

func (p *API) inboundMessage(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	m, err := p.store.InboundMessage(ctx, a.pathParam("plan"), a.pathParam("id"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem.NotFound(fmt.Sprintf("inbound message %s of plan %s", a.pathParam("id"), a.pathParam("plan")))
	}
	if err != nil {
		return nil, failed("read an inbound message", err)
	}
	return viewInbound(m), nil
}
