package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dlrloop/dlrloop/batchinfo"
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// recordFeedback stores the caller's delivery feedback (who has received a batch), which dlrloop sends to Sinch later.
// It answers as Sinch would: 202, but only once the feedback is durable. If it returns an error, it has not answered.
func (p *proxiedRequest) recordFeedback() error {
	confirmation, invalid, err := p.readFeedback()
	if err != nil {
		return err
	}
	ctx, cancel := listener.Detach(p.r.Context(), p.config.Patience)
	defer cancel()
	known, err := p.knownBatch(ctx)
	if err != nil {
		return err
	}
	info, refusal, err := p.feedbackBatch(ctx, known, invalid != nil)
	switch {
	case err != nil:
		return err
	case refusal != nil:
		p.forward(refusal)
	case invalid != nil:
		p.answerInvalid(invalid)
	case info == nil || !info.FeedbackEnabled:
		p.answer(http.StatusNotFound, nil)
	case confirmation.WholeBatch && info.Groups > 0:
		p.answerInvalid(violation("recipients must name at least one recipient of a batch sent to a group"))
	default:
		return p.confirm(ctx, confirmation)
	}
	return nil
}

// knownBatch returns the stored batch that the request's path names, or nil if the store does not have it.
func (p *proxiedRequest) knownBatch(ctx context.Context) (*store.Batch, error) {
	b, err := p.store.Batch(ctx, store.BatchKey{Plan: p.plan.ID, BatchID: p.batchID})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, notRecorded("read the batch", err)
	}
	return b, nil
}

// feedbackBatch checks the caller's token and returns the info about the batch in the path. It takes the info from
// known, the batch in the store, if that is marked as wanting feedback. Otherwise it fetches the info from Sinch and
// records it; but with tokenOnly, or for an invalid batch id, it returns nil. If Sinch refuses the token or the fetch,
// the result refusal is Sinch's answer, which the caller should get.
func (p *proxiedRequest) feedbackBatch(ctx context.Context, known *store.Batch, tokenOnly bool) (
	info *store.BatchInfo, refusal *lookup, err error,
) {
	wanted := known != nil && known.Flag == store.FlagWanted && known.Info != nil
	if wanted || tokenOnly || !p.validBatchID() {
		if p.plan.Client == nil && !p.tokens.accepted(p.plan.ID, p.token) {
			if refusal, err := p.checkToken(); refusal != nil || err != nil {
				return nil, refusal, err
			}
		}
		if !wanted {
			return nil, nil, nil
		}
		return known.Info, nil, nil
	}
	b, refusal, err := p.fetchBatch()
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	found := batchinfo.Convert(b, store.FromGateway)
	return &found, nil, p.record(ctx, found)
}

// validBatchID reports whether the batch id in the request's path has at most dlr.MaxBatchID bytes and no slash. A
// slash would change the path when the gateway fetches the batch from Sinch.
func (p *proxiedRequest) validBatchID() bool {
	return len(p.batchID) <= dlr.MaxBatchID && !strings.Contains(p.batchID, "/")
}

// confirm records the caller's delivery feedback and then answers 202. After an error it has not answered.
func (p *proxiedRequest) confirm(ctx context.Context, c store.Confirmation) error {
	if err := p.record(ctx, c); err != nil {
		return err
	}
	p.answer(http.StatusAccepted, nil)
	return nil
}

// record stores an entry for the request's plan and blocks until it is durable. The error is a *problem.Problem.
func (p *proxiedRequest) record(ctx context.Context, entry store.Entry) error {
	if err := p.store.Record(ctx, store.Arrival{Plan: p.plan.ID, At: store.Now(), Entry: entry}); err != nil {
		return notRecorded("record", err)
	}
	return nil
}

// notRecorded returns the problem for a store call that failed with err. The argument tried says in the log what the
// call should do, such as "record". The client may repeat the request, since a repeat changes nothing.
func notRecorded(tried string, err error) error {
	refused := problem.OfStore(fmt.Errorf("%s: %w", tried, err))
	refused.Detail = "the confirmation may not be recorded; retry later"
	return refused
}

// invalidBody is the JSON body of Sinch's answer to an invalid request.
type invalidBody struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func violation(text string) *invalidBody {
	return &invalidBody{Code: "syntax_constraint_violation", Text: text}
}

// answerInvalid answers an invalid request as Sinch does: 400 with the given JSON body.
func (p *proxiedRequest) answerInvalid(w *invalidBody) {
	body, _ := json.Marshal(w) // two strings can be encoded
	p.w.Header().Set("Content-Type", "application/json")
	p.answer(http.StatusBadRequest, body)
}

// readFeedback reads and parses the body of a delivery feedback call. If Sinch would refuse its content, the second
// result is the answer to send, else nil. It returns an error if the body is too large, incomplete or badly compressed.
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
		return store.Confirmation{}, nil, &problem.Problem{
			Kind: problem.KindBadBody, Status: http.StatusUnsupportedMediaType,
			Detail: "send the body uncompressed, or with Content-Encoding: gzip",
		}
	case err != nil:
		return store.Confirmation{}, nil, problem.BadBody("the body is not gzip, although its Content-Encoding is")
	}
	c, invalid := parseFeedback(body)
	c.BatchID = p.batchID
	return c, invalid, nil
}

// parseFeedback parses the body of a delivery feedback call by Sinch's rules; BatchID stays empty. If the body is
// invalid, the second result is the answer to send, else nil. The answer has Sinch's code, but our text.
func parseFeedback(body []byte) (store.Confirmation, *invalidBody) {
	// A struct would match the name in any case. It must be exact, since an empty list means every recipient.
	var members map[string]json.RawMessage
	var recipients []string
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return store.Confirmation{}, &invalidBody{Code: "syntax_invalid_json", Text: "The body is not a JSON object"}
	}
	named, there := members["recipients"]
	if !there || string(named) == "null" {
		return store.Confirmation{}, violation("recipients is missing")
	}
	if err := json.Unmarshal(named, &recipients); err != nil {
		return store.Confirmation{}, &invalidBody{
			Code: "syntax_invalid_json", Text: "recipients is not a list of strings",
		}
	}
	if len(recipients) > store.MaxRecipients {
		text := fmt.Sprintf("recipients must have at most %d elements", store.MaxRecipients)
		return store.Confirmation{}, violation(text)
	}
	for i, recipient := range recipients {
		if !isNumber(recipient) {
			return store.Confirmation{}, &invalidBody{
				Code: "syntax_invalid_parameter_format", Text: fmt.Sprintf("recipients[%d] is not a valid number", i),
			}
		}
	}
	return store.Confirmation{Recipients: recipients, WholeBatch: len(recipients) == 0}, nil
}

// isNumber reports whether Sinch accepts text as a phone number in delivery feedback. It is stricter than dlr.MSISDN:
// it allows fewer separators and requires at least three digits.
func isNumber(text string) bool {
	digits, ok := dlr.MSISDN(text)
	return ok && len(digits) >= 3 && len(text) <= dlr.MaxNumber && strings.Trim(text, "+0123456789 -()[]") == "" &&
		strings.LastIndexByte(text, '+') <= 0
}
