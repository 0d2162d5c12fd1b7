package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/store"
)

// ask is a request to read: its path and its query.
type apiRequest struct {
	*query
	path gin.Params
}

// segment is a part of the path, decoded. Its escapes are right: net/http has read them.
func (a *apiRequest) segment(name string) string {
	s, _ := url.PathUnescape(a.path.ByName(name))
	return s
}

func (a *apiRequest) batch() store.BatchKey {
	return store.BatchKey{Plan: a.segment("plan"), BatchID: a.segment("id")}
}

// failed says what was tried when the store failed: a fault of the store's, which passes, and none of this program's own. A cursor of no
// earlier page is the caller's fault; it is not repeated, since it may hold somebody's number and errors are logged.
func failed(tried string, err error) error {
	if errors.Is(err, store.ErrCursor) {
		return badParameter("cursor", "not of an earlier page of this list", "its next_cursor")
	}
	tries := fmt.Errorf("%s: %w", tried, err)
	if problemOf(tries).kind != kindInternal {
		return tries
	}
	return &problem{kind: kindUnavailable, detail: "the store failed, the log says how; the same call will do later", cause: tries}
}

// failedBatch is failed for what was tried with one batch.
func failedBatch(tried string, key store.BatchKey, err error) error {
	batch := fmt.Sprintf("batch %s of plan %s", key.BatchID, key.Plan)
	if errors.Is(err, store.ErrNotFound) {
		return notFound(batch)
	}
	return failed(tried+" "+batch, err)
}

// read answers what f returns as JSON. f has as long as the patience lasts.
func (p *Private) read(f func(context.Context, *apiRequest) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
		defer cancel()
		v, err := f(ctx, &apiRequest{query: parseQuery(c.Request.URL.RawQuery), path: c.Params})
		if err == nil {
			err = answerJSON(c, v)
		}
		if err != nil {
			p.failures.fail(c, err)
		}
	}
}

// answerJSON writes v as JSON. The text of a callback stays as it came: no HTML escapes.
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
