package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// request holds the parameters of a request to the API, in the query (such as ?limit=10) and in the path (such as the
// plan in /plans/{plan}/batches).
type request struct {
	*query
	path gin.Params
}

// pathParam returns the path parameter of this name, such as "plan", with percent-encoding removed. Decoding cannot
// fail, since net/http has already checked the path.
func (a *request) pathParam(name string) string {
	s, _ := url.PathUnescape(a.path.ByName(name))
	return s
}

func (a *request) batch() store.BatchKey {
	return store.BatchKey{Plan: a.pathParam("plan"), BatchID: a.pathParam("id")}
}

// failed converts the error of a store call into the error to answer. tried describes the call, such as "list batches".
// The result never quotes a cursor, because errors are logged and a cursor may contain a phone number.
func failed(tried string, err error) error {
	err = fmt.Errorf("%s: %w", tried, err)
	switch {
	case errors.Is(err, store.ErrCursor):
		return problem.BadParameter("cursor", "not from this list", "the next_cursor of its previous page")
	case errors.Is(err, store.ErrNotFound):
		return err
	}
	return problem.OfStore(err)
}

// failedBatch converts the error of a store call about one batch into the error to answer. tried describes the call,
// such as "read"; failedBatch adds the batch. If the store does not have the batch, the result is a problem with status
// 404.
func failedBatch(tried string, key store.BatchKey, err error) error {
	batch := fmt.Sprintf("batch %s of plan %s", key.BatchID, key.Plan)
	if errors.Is(err, store.ErrNotFound) {
		return problem.NotFound(batch)
	}
	return failed(tried+" "+batch, err)
}

// read returns a gin handler that calls f with the request's parameters. It answers with the result of f as JSON, or
// with a problem if f returns an error. The context of f ends after Config.Patience.
func (p *API) read(f func(context.Context, *request) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
		defer cancel()
		v, err := f(ctx, &request{query: parseQuery(c.Request.URL.RawQuery), path: c.Params})
		if err == nil {
			err = answerJSON(c, v)
		}
		if err != nil {
			p.failures.Fail(c, err)
		}
	}
}

// answerJSON answers with v as JSON and status 200. It does not escape <, > and &, so a callback's body looks as it was
// received. If v cannot be encoded, answerJSON returns an error and writes nothing.
func answerJSON(c *gin.Context, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	c.Data(http.StatusOK, "application/json", body.Bytes())
	return nil
}
