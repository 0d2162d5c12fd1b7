package simulator

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

func TestReplaceResetsAllMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		id, before := u.scheduled()
		time.Sleep(time.Minute)
		replaced := u.object(u.call(http.MethodPut, "/batches/"+id,
			`{"to":["+12025550150"],"from":"ACME","body":"new","send_at":"2000-01-01T02:00:00Z"}`), http.StatusOK)
		require.Equal(t, map[string]any{
			"id": id, "created_at": before["created_at"], "modified_at": "2000-01-01T00:01:00.000Z", "canceled": false,
			"to": []any{"12025550150"}, "from": "ACME", "body": "new", "type": "mt_text", "delivery_report": "none",
			"flash_message": false,
			"send_at":       "2000-01-01T02:00:00.000Z", "expire_at": "2000-01-04T02:00:00.000Z",
		}, replaced, "members that the request does not name must have their defaults")
		require.Equal(t, replaced, u.get(id))
		b := u.sim.Ledger().Batches[0]
		require.Equal(t, 1, b.Replaced)
		require.False(t, b.FeedbackEnabled)
		require.Equal(t, "none", b.Report)
		require.Equal(t, 404, u.feedback(id, "12025550150").status,
			"a replace without feedback_enabled must disable feedback")

		time.Sleep(time.Hour)
		require.Equal(t, "Queued 400", u.recipientStatuses()["12025550150"],
			"the batch must not be dispatched at the first send_at")
		u.settle()
		require.Equal(t, map[string]string{"12025550150": "Delivered 0"}, u.recipientStatuses())
		require.Empty(t, u.received())
		require.Empty(t, u.sim.Ledger().OwedFeedback())
		require.Equal(t, 1, u.sim.State().Recipients)
	})
}

func TestReplaceWithoutSendAtDispatchesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		id, _ := u.scheduled()
		const given = `{"to":["12025550150"],"from":"ACME","body":"new","feedback_enabled":true,` +
			`"delivery_report":"per_recipient_final","client_reference":"s"}`
		u.object(u.call(http.MethodPut, "/batches/"+id, given), http.StatusOK)
		time.Sleep(time.Second)
		require.True(t, u.sim.Settled())
		require.Equal(t, map[ledger.BatchRecipient]bool{{Batch: id, Recipient: "12025550150"}: true},
			u.sim.Ledger().OwedFeedback())
		require.Equal(t, 202, u.feedback(id, "12025550150").status)
		require.Contains(t, string(u.received()[0].body), `"client_reference":"s"`)
	})
}

func TestReplaceAndSendAnswerTheSameErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}}})
		id, before := u.scheduled()
		for given, want := range map[string]struct {
			status int
			code   string
		}{
			`{`: {400, "syntax_invalid_json"},
			`{"to":["you"],"from":"ACME","body":"x"}`: {
				400,
				"syntax_invalid_parameter_format",
			},
			`{"from":"ACME","body":"x"}`: {
				400,
				"syntax_constraint_violation",
			},
			`{"to":["12025550143"],"from":"ACME"}`: {
				400,
				"syntax_constraint_violation",
			},
			`{"to":["12025550143"],"body":"x"}`: {
				400,
				"syntax_constraint_violation",
			},
			`{"to":["01K2NDE5RPA0C7W3B9HYZK4T6M"],"from":"ACME","body":"x"}`: {
				403,
				"unknown_group",
			},
			`{"to":["12025550143"],"from":"ACME","body":"x","delivery_report":"full"}`: {
				403,
				"missing_callback_url",
			},
			`{"to":["12025550143"],"from":"ACME","body":"x","expire_at":"1999-01-01","send_at":"1999"}`: {
				400,
				"syntax_invalid_parameter_format",
			},
		} {
			u.refused(u.call(http.MethodPut, "/batches/"+id, given), want.status, want.code)
		}
		require.Equal(t, before, u.get(id))
	})
}
