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

// eraseLimit limits how long one request to erase a phone number may take. A request that is repeated later continues
// where this one ended.
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

// erase erases a phone number from the store. It may take minutes, so it gives the client more time than the listener
// does, and continues if the client leaves.
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

// eraseNumber logs what was erased, without the number, also if only a part was.
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
