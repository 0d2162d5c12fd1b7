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

// recordFeedback handles a call with delivery feedback: the recipients that the caller knows to have received the
// batch. It stores the feedback, which dlrloop sends to Sinch later, and answers 202 once that is durable. If Sinch
// would refuse the call, it answers as Sinch does. If it returns an error, it has not answered.
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

// knownBatch returns the batch in the request's path as stored, or nil if the store does not have it. The error is a
// *problem.Problem with status 503.
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

// feedbackBatch checks the caller's token and returns what is known about the batch in the request's path. known is the
// stored batch, or nil. If known wants feedback, info is known.Info. Otherwise info is fetched from Sinch and recorded,
// unless tokenOnly is set or the batch id is invalid; then info is nil. If Sinch refuses the token or the fetch, info
// is nil, and refusal is Sinch's answer for the caller.
func (p *proxiedRequest) feedbackBatch(ctx context.Context, known *store.Batch, tokenOnly bool) (
	info *store.BatchInfo, refusal *lookupAnswer, err error,
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

// validBatchID reports whether the gateway may use the batch id in the request's path to fetch the batch from Sinch.
// The id must have at most dlr.MaxBatchID bytes and no slash, since a slash could lead to another path at Sinch.
func (p *proxiedRequest) validBatchID() bool {
	return len(p.batchID) <= dlr.MaxBatchID && !strings.Contains(p.batchID, "/")
}

// confirm records the caller's delivery feedback and answers 202 once it is durable. If it returns an error, a
// *problem.Problem, it has not answered.
func (p *proxiedRequest) confirm(ctx context.Context, c store.Confirmation) error {
	if err := p.record(ctx, c); err != nil {
		return err
	}
	p.answer(http.StatusAccepted, nil)
	return nil
}

// record stores an entry, such as delivery feedback, for the request's plan. It blocks until the entry is durable or
// ctx ends. The error is a *problem.Problem with status 503.
func (p *proxiedRequest) record(ctx context.Context, entry store.Entry) error {
	if err := p.store.Record(ctx, store.Arrival{Plan: p.plan.ID, At: store.Now(), Entry: entry}); err != nil {
		return notRecorded("record", err)
	}
	return nil
}

// notRecorded returns the problem with status 503 for a store call that failed with err. tried names the call in the
// log, such as "record". The text tells the caller to retry, which is safe because a repeat changes nothing.
func notRecorded(tried string, err error) error {
	refused := problem.OfStore(fmt.Errorf("%s: %w", tried, err))
	refused.Detail = "the confirmation may not be recorded; retry later"
	return refused
}

// invalidBody is the JSON body of Sinch's answer to an invalid request: an error code and a text for people.
type invalidBody struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func violation(text string) *invalidBody {
	return &invalidBody{Code: "syntax_constraint_violation", Text: text}
}

// answerInvalid answers the caller in the form in which Sinch answers an invalid request: status 400 with w as JSON.
func (p *proxiedRequest) answerInvalid(w *invalidBody) {
	body, _ := json.Marshal(w) // two strings can be encoded
	p.w.Header().Set("Content-Type", "application/json")
	p.answer(http.StatusBadRequest, body)
}

// readFeedback reads and parses the body of a delivery feedback call. If Sinch would refuse the content, the second
// result is the answer to send, otherwise nil. The error says that the body is too large, incomplete or badly
// compressed.
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

// parseFeedback parses the JSON body of a delivery feedback call by Sinch's rules. It leaves BatchID empty, since the
// path contains the id. If Sinch would refuse the body, the second result is the answer to send, with Sinch's error
// code but our text; otherwise it is nil.
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

// isNumber reports whether Sinch accepts text as a phone number in delivery feedback: at least three digits and few
// kinds of separators. isNumber is stricter than dlr.MSISDN.
func isNumber(text string) bool {
	digits, ok := dlr.MSISDN(text)
	return ok && len(digits) >= 3 && len(text) <= dlr.MaxNumber && strings.Trim(text, "+0123456789 -()[]") == "" &&
		strings.LastIndexByte(text, '+') <= 0
}
