package batchinfo

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func parsed(t require.TestingT, body string) *sinch.Batch {
	b, err := sinch.ParseBatch([]byte(body))
	require.NoError(t, err)
	return b
}

func TestInfoOfABatch(t *testing.T) {
	at := func(s string) time.Time {
		moment, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return moment
	}
	require.Equal(t, store.BatchInfo{
		BatchID:         "01K2QHBT0F9G2KSY7P3M1DQX8R",
		FeedbackEnabled: true,
		ReportKind:      "per_recipient_final",
		ClientReference: "otp/8a02",
		Recipients:      3,
		Groups:          1,
		Numbers:         []string{"447700900118", "46701740607"},
		Canceled:        true,
		CreatedAt:       at("2025-08-19T16:20:05.118Z"),
		ModifiedAt:      at("2025-08-19T16:21:05.118Z"),
		SendAt:          at("2025-08-20T05:30:00Z"),
		ExpireAt:        at("2025-08-21T05:30:00Z"),
		Source:          store.FromGateway,
	}, Convert(parsed(t, `{
		"id": "01K2QHBT0F9G2KSY7P3M1DQX8R", "to": ["447700900118", "01K2NDE5RPA0C7W3B9HYZK4T6M", "46701740607"],
		"from": "12025550100",
		"canceled": true, "body": "Hi", "type": "mt_text", "created_at": "2025-08-19T16:20:05.118Z",
		"modified_at": "2025-08-19T16:21:05.118Z", "delivery_report": "per_recipient_final",
		"send_at": "2025-08-20T05:30:00.000Z", "expire_at": "2025-08-21T05:30:00.000Z", "client_reference": "otp/8a02",
		"feedback_enabled": true, "flash_message": false
	}`), store.FromGateway))
}

func TestEachRecipientCountsOnce(t *testing.T) {
	long := strings.Repeat("4", dlr.MaxNumber)
	for to, want := range map[string]struct {
		numbers []string
		groups  int
	}{
		`[]`:                                {},
		`"447700900133"`:                    {},
		`["447700900133"]`:                  {[]string{"447700900133"}, 0},
		`[447700900133, {}, null]`:          {[]string{"447700900133"}, 0},
		`["+447700900133", "447700900133"]`: {[]string{"+447700900133"}, 0},
		`["G", "447700900133", "G", "g"]`:   {[]string{"447700900133"}, 2},
		`["G"]`:                             {nil, 1},
		fmt.Sprintf(`["1", %q]`, long):      {[]string{"1", long}, 0},
		fmt.Sprintf(`["1", %q]`, long+"4"):  {[]string{"1"}, 1},
		fmt.Sprintf(`["+%s", "2"]`, long):   {[]string{"2"}, 1},
		`["", "447700900133"]`:              {[]string{"447700900133"}, 1},
	} {
		t.Run(to, func(t *testing.T) {
			info := Convert(parsed(t, `{"id": "b", "to": `+to+`}`), store.FromGateway)
			require.Equal(t, want.numbers, info.Numbers)
			require.Equal(t, want.groups, info.Groups)
			require.Equal(t, len(want.numbers)+want.groups, info.Recipients)
		})
	}
}
