package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// recordFeedback takes a confirmation in Sinch's place: it answers as Sinch would, but 202 only when the confirmation is durable.
// The relay sends it on.
func (p *proxiedRequest) recordFeedback() error {
	said, wrong, err := p.readFeedback()
	if err != nil {
		return err
	}
	ctx, cancel := detach(p.r.Context(), p.config.Patience)
	defer cancel()
	known, err := p.knownBatch(ctx)
	if err != nil {
		return err
	}
	facts, refusal, err := p.feedbackBatch(ctx, known, wrong != nil)
	switch {
	case err != nil:
		return err
	case refusal != nil:
		p.forward(refusal)
	case wrong != nil:
		p.answerInvalid(wrong)
	case facts == nil || !facts.FeedbackEnabled:
		p.answer(http.StatusNotFound, nil)
	case said.Everyone && facts.Groups > 0:
		p.answerInvalid(violation("recipients must name at least one recipient of a batch sent to a group"))
	default:
		return p.confirm(ctx, said)
	}
	return nil
}

// knownBatch is what the store has of the batch, nil if that is nothing.
func (p *proxiedRequest) knownBatch(ctx context.Context) (*store.Batch, error) {
	b, err := p.store.Batch(ctx, store.BatchKey{Plan: p.plan.ID, BatchID: p.batchID})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, p.notRecorded("read the batch", err)
	}
	return b, nil
}

// wanting has Sinch asked what must be known before a confirmation is taken: whether the caller's token is good, and whether the
// batch wants feedback, unless that is known. It returns the facts of the batch, nil for an unknown one, or Sinch's own refusal.
func (p *proxiedRequest) feedbackBatch(ctx context.Context, known *store.Batch, tokenOnly bool) (*store.Facts, *lookup, error) {
	wanted := known != nil && known.Flag == store.FlagWanted && known.Facts != nil
	if wanted || tokenOnly || !p.askable() {
		if p.plan.Client == nil && !p.tokens.accepted(p.plan.ID, p.token) {
			if refusal, err := p.checkToken(); refusal != nil || err != nil {
				return nil, refusal, err
			}
		}
		if !wanted {
			return nil, nil, nil
		}
		return known.Facts, nil, nil
	}
	b, refusal, err := p.fetchBatch()
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	facts := factsOf(b, store.FromGateway)
	return &facts, nil, p.record(ctx, facts)
}

// askable reports whether the id of the batch can be that of a batch. An id with a slash would name another path.
func (p *proxiedRequest) askable() bool {
	return len(p.batchID) <= maxBatchID && !strings.Contains(p.batchID, "/")
}

// confirm makes a confirmation durable and answers as Sinch does.
func (p *proxiedRequest) confirm(ctx context.Context, c store.Confirmation) error {
	if err := p.record(ctx, c); err != nil {
		return err
	}
	p.answer(http.StatusAccepted, nil)
	return nil
}

// keep makes news durable.
func (p *proxiedRequest) record(ctx context.Context, n store.News) error {
	if err := p.store.Record(ctx, store.Arrival{Plan: p.plan.ID, At: now(), News: n}); err != nil {
		return p.notRecorded("record", err)
	}
	return nil
}

// notRecorded is the problem that the store failed. Whether something was kept is not known; a repeat changes nothing.
func (p *proxiedRequest) notRecorded(tried string, err error) error {
	refused := &problem{kind: kindUnavailable, detail: "the confirmation is not known to be kept; the same call will do later"}
	if problemOf(err).kind == kindBusy {
		refused.kind = kindBusy
	}
	refused.cause = fmt.Errorf("%s: %w", tried, err)
	return refused
}

// invalidBody is what Sinch answers to a request that does not conform.
type invalidBody struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func violation(text string) *invalidBody {
	return &invalidBody{Code: "syntax_constraint_violation", Text: text}
}

// wrong answers that the request does not conform, as Sinch does.
func (p *proxiedRequest) answerInvalid(w *invalidBody) {
	body, _ := json.Marshal(w) // two texts can be encoded
	p.w.Header().Set("Content-Type", "application/json")
	p.answer(http.StatusBadRequest, body)
}

// readFeedback reads what is confirmed. What Sinch would not accept is no error of ours.
func (p *proxiedRequest) readFeedback() (store.Confirmation, *invalidBody, error) {
	body, err := p.body.whole(p.r.ContentLength)
	if err != nil {
		return store.Confirmation{}, nil, err
	}
	body, err = decompressed(p.r.Header.Get("Content-Encoding"), body, p.config.MaxBody)
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case tooLarge:
		return store.Confirmation{}, nil, err
	case errors.Is(err, errEncoding):
		return store.Confirmation{}, nil, &problem{
			kind: kindBadBody, status: http.StatusUnsupportedMediaType, detail: "send the body as it is, or with Content-Encoding: gzip",
		}
	case err != nil:
		return store.Confirmation{}, nil, badBody("the body is no gzip, as its Content-Encoding says")
	}
	c, invalid := parseFeedback(body)
	c.BatchID = p.batchID
	return c, invalid, nil
}

// parseFeedback reads the body of a feedback call by Sinch's rules. The texts are our own.
func parseFeedback(body []byte) (store.Confirmation, *invalidBody) {
	var members map[string]json.RawMessage // and no struct: the name must be exact, since an empty list says so much
	var recipients []string
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return store.Confirmation{}, &invalidBody{Code: "syntax_invalid_json", Text: "The body is not a JSON object"}
	}
	named, there := members["recipients"]
	if !there || string(named) == "null" {
		return store.Confirmation{}, violation("recipients is missing")
	}
	if err := json.Unmarshal(named, &recipients); err != nil {
		return store.Confirmation{}, &invalidBody{Code: "syntax_invalid_json", Text: "recipients is not a list of strings"}
	}
	if len(recipients) > store.MaxRecipients {
		return store.Confirmation{}, violation(fmt.Sprintf("recipients must have at most %d elements", store.MaxRecipients))
	}
	for i, recipient := range recipients {
		if !isNumber(recipient) {
			return store.Confirmation{}, &invalidBody{
				Code: "syntax_invalid_parameter_format", Text: fmt.Sprintf("recipients[%d] is not a valid number", i),
			}
		}
	}
	return store.Confirmation{Recipients: recipients, Everyone: len(recipients) == 0}, nil
}

// isNumber reports whether Sinch takes a text for a phone number. One that it does not would have it refuse all those that are
// sent with it.
func isNumber(text string) bool {
	if len(text) > maxNumber || strings.Trim(text, "+0123456789 -()[]") != "" || strings.LastIndexByte(text, '+') > 0 {
		return false
	}
	digits := dlr.Digits(text)
	return 3 <= len(digits) && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
}
