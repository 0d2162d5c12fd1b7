package sinch

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGetBatch(t *testing.T) {
	u := newUpstream(t, says(http.StatusOK, fixture(t, "res-send-text-201.json")))
	b, err := u.client(t).GetBatch(t.Context(), testBatch)
	require.NoError(t, err)
	require.Equal(t, &Batch{
		ID:              testBatch,
		Type:            "mt_text",
		Recipients:      3,
		FeedbackEnabled: true,
		ReportKind:      "per_recipient_final",
		ClientReference: "otp/8a02",
		CallbackURL:     "https://hooks.example.com/sinch/sms?tenant=a",
		CreatedAt:       time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
		ModifiedAt:      time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
		SendAt:          time.Date(2025, 8, 20, 5, 30, 0, 0, time.UTC),
		ExpireAt:        time.Date(2025, 8, 21, 5, 30, 0, 0, time.UTC),
	}, b)
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+testBatch, u.requests()[0].URI)
	require.Equal(t, http.MethodGet, u.requests()[0].Method)
}

func TestGetBatchReadsTolerantly(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want Batch
	}{
		"canceled":           {fixture(t, "res-cancel-200.json"), Batch{ID: "01K2R04WZ6E8J1CTANH5VB3M2P", Type: "mt_text", Recipients: 1, Canceled: true, FeedbackEnabled: true, ReportKind: "summary"}},
		"only an id":         {`{"id":"b"}`, Batch{ID: "b"}},
		"unknown members":    {`{"id":"b","tags":["x"],"to":[1,2,{"a":1}],"more":{}}`, Batch{ID: "b", Recipients: 3}},
		"numeric id":         {`{"id":12,"client_reference":7}`, Batch{ID: "12", ClientReference: "7"}},
		"other types":        {`{"to":"x","id":"b","type":{},"client_reference":[1],"created_at":5,"canceled":1,"feedback_enabled":"True"}`, Batch{ID: "b", FeedbackEnabled: true}},
		"nulls":              {`{"id":"b","to":null,"feedback_enabled":null,"send_at":null}`, Batch{ID: "b"}},
		"NUL":                {`{"id":"b","client_reference":"a\u0000b"}`, Batch{ID: "b", ClientReference: "a\ufffdb"}},
		"a reference to cut": {`{"id":"b","client_reference":"` + strings.Repeat("é", 3000) + `"}`, Batch{ID: "b", ClientReference: strings.Repeat("é", 2048)}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, says(http.StatusOK, test.body))
			b, err := u.client(t).GetBatch(t.Context(), test.want.ID)
			require.NoError(t, err)
			b.CreatedAt, b.ModifiedAt, b.SendAt, b.ExpireAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			require.Equal(t, &test.want, b)
		})
	}
}

// Whoever answers 200 to everything must not be taken to say that no feedback is wanted.
func TestGetBatchBelievesOnlyTheBatchAskedFor(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":       ``,
		"an empty one":  `{}`,
		"another batch": `{"id":"other","feedback_enabled":false}`,
		"another case":  `{"id":"01k2qhbt0f9g2ksy7p3m1dqx8r"}`,
		"a page":        `<html><body>Please log in</body></html>`,
		"a list":        `[{"id":"` + testBatch + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, says(http.StatusOK, body))
			_, err := u.client(t).GetBatch(t.Context(), testBatch)
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok, err)
			assert.Equal(t, http.StatusOK, e.HTTPStatus)
			assert.Equal(t, GetBatch, e.Operation)
			assert.NotEmpty(t, e.Text)
			assert.Error(t, errors.Unwrap(e))
		})
	}
}
