package api

import (
	"context"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// eraseLimit limits how long one request to erase a phone number may take. A request that exceeds the limit fails; the
// client can repeat the request to erase the rest.
const eraseLimit = time.Hour

// erasedView counts what was erased: recipients of batches, bodies of reports, inbound messages, callbacks that could
// not be parsed, and events.
type erasedView struct {
	Recipients      int `json:"recipients"`
	Reports         int `json:"reports"`
	InboundMessages int `json:"inbound_messages"`
	Quarantined     int `json:"quarantined"`
	Events          int `json:"events"`
}

// erase answers DELETE /api/v1/recipients/{number}: it erases the phone number from the store. Erasing may take
// minutes, so its time limit is eraseLimit instead of the listener's, and it continues if the client disconnects.
func (p *API) erase(c *gin.Context) {
	ctx, cancel := listener.Detach(c.Request.Context(), eraseLimit)
	defer cancel()
	// Only connections of tests support no deadlines.
	_ = controllerOf(c.Writer).SetWriteDeadline(time.Now().Add(eraseLimit + p.config.Patience))
	a := &request{query: parseQuery(c.Request.URL.RawQuery), path: c.Params}
	view, err := p.eraseNumber(ctx, a)
	if err == nil {
		err = answerJSON(c, view)
	}
	if err != nil {
		p.failures.Fail(c, err)
	}
}

// eraseNumber erases the phone number in the request's path from the store and returns what was erased. It logs the
// same counts, without the number, even if the store failed after it had erased a part. On an error the returned counts
// are zero.
func (p *API) eraseNumber(ctx context.Context, a *request) (erasedView, error) {
	if err := a.err(); err != nil {
		return erasedView{}, err
	}
	erased, err := p.store.Erase(ctx, a.pathParam("number"))
	if erased != (store.Erased{}) || err == nil {
		p.failures.Log.InfoContext(ctx, "a phone number was erased",
			"recipients", erased.Recipients, "reports", erased.Reports, "inbound_messages", erased.InboundMessages,
			"quarantined", erased.Quarantined, "events", erased.Events, "complete", err == nil)
	}
	if errors.Is(err, store.ErrNumber) {
		return erasedView{}, problem.BadParameter("number", "not a phone number", "7 to 15 digits, in any spelling")
	}
	if err != nil {
		return erasedView{}, failed("erase a phone number", err)
	}
	return erasedView(erased), nil
}
