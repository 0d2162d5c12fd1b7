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

// request is the decoded path and query of a GET request.
type request struct {
	*query
	path gin.Params
}

// segment returns a parameter of the path, decoded. The escapes are valid, since net/http has parsed them.
func (a *request) segment(name string) string {
	s, _ := url.PathUnescape(a.path.ByName(name))
	return s
}

func (a *request) batch() store.BatchKey {
	return store.BatchKey{Plan: a.segment("plan"), BatchID: a.segment("id")}
}

// failed returns the problem for a read of the store that failed with err. tried names the operation, such as "list
// batches". The value of an invalid cursor is not quoted, since it may contain a phone number and errors are logged.
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

// failedBatch is failed for an operation on one batch. It turns store.ErrNotFound into KindNotFound.
func failedBatch(tried string, key store.BatchKey, err error) error {
	batch := fmt.Sprintf("batch %s of plan %s", key.BatchID, key.Plan)
	if errors.Is(err, store.ErrNotFound) {
		return problem.NotFound(batch)
	}
	return failed(tried+" "+batch, err)
}

// read returns a handler that answers with f's result as JSON. The context of f ends after the configured Patience.
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

// answerJSON writes v as JSON with status 200. It does not escape HTML, so that raw callbacks stay as they came.
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
