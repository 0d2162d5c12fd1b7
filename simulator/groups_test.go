package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func (u *customer) group(given string) string {
	u.t.Helper()
	return u.object(u.call(http.MethodPost, "/groups", given), http.StatusCreated)["id"].(string)
}

func (u *customer) membersOf(group string) string {
	u.t.Helper()
	h := u.call(http.MethodGet, "/groups/"+group+"/members", "")
	require.Equal(u.t, http.StatusOK, h.status)
	return h.body
}

func TestGroupLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		created := u.object(u.call(http.MethodPost, "/groups",
			`{"name":"Customers","members":["+12025550143","0012025550143","447700900118"]}`), 201)
		id := created["id"].(string)
		require.Len(t, id, 26)
		require.Equal(t, map[string]any{
			"id": id, "name": "Customers", "size": 2.0, "created_at": "2000-01-01T00:00:00.000Z",
			"modified_at": "2000-01-01T00:00:00.000Z",
		}, created, "a number must be a member only once")
		require.Equal(t, `["12025550143","447700900118"]`, u.membersOf(id))

		time.Sleep(time.Minute)
		updated := u.object(u.call(http.MethodPost, "/groups/"+id,
			`{"add":["12025550144"],"remove":["+12025550143"],"name":null}`), 200)
		require.Equal(t,
			map[string]any{
				"id": id, "size": 2.0, "created_at": created["created_at"],
				"modified_at": "2000-01-01T00:01:00.000Z",
			}, updated)
		require.Equal(t, updated, u.object(u.call(http.MethodGet, "/groups/"+id, ""), 200))
		require.Equal(t, `["447700900118","12025550144"]`, u.membersOf(id))

		replaced := u.object(u.call(http.MethodPut, "/groups/"+id,
			`{"members":["12025550145"],"auto_update":{"to":"54321"}}`), 200)
		require.Equal(t, created["created_at"], replaced["created_at"])
		require.Equal(t, map[string]any{"to": "54321"}, replaced["auto_update"])
		require.Equal(t, `["12025550145"]`, u.membersOf(id))
		require.NotContains(t, u.object(u.call(http.MethodPost, "/groups/"+id, `{"auto_update":null}`), 200),
			"auto_update")

		h := u.call(http.MethodDelete, "/groups/"+id, "")
		require.Equal(t, 200, h.status)
		require.Empty(t, h.body)
		for _, c := range [][2]string{{"GET", ""}, {"POST", ""}, {"PUT", ""}, {"DELETE", ""}, {"GET", "/members"}} {
			h := u.call(c[0], "/groups/"+id+c[1], `{}`)
			require.Equal(t, 404, h.status, c)
			require.Empty(t, h.body)
		}
	})
}

func TestGroupsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{
			{ID: testPlan, Token: testToken, Groups: map[string][]string{"dxCJTlfb1UsF": numbers(3)}}, {
				ID:    "other",
				Token: testToken,
			},
		}})
		want := []string{"dxCJTlfb1UsF"}
		for range 30 {
			want = append(want, u.group(`{}`))
		}
		require.Equal(t, 201, u.call(http.MethodPost, "/../other/groups", `{}`).status)
		var got []string
		for page, size := range []float64{30, 1, 0} {
			read := u.object(u.call(http.MethodGet, fmt.Sprintf("/groups?page=%d", page), ""), 200)
			require.Equal(t, []any{31.0, float64(page), size}, []any{read["count"], read["page"], read["page_size"]})
			for _, g := range read["groups"].([]any) {
				got = append(got, g.(map[string]any)["id"].(string))
			}
		}
		require.Equal(t, want, got)
		u.refused(u.call(http.MethodGet, "/groups?page_size=101", ""), 400, "syntax_constraint_violation")
		require.Equal(t, 404, u.call(http.MethodGet, "/../other/groups/"+want[1], "").status,
			"a group of another plan must not be found")
	})
}

func TestChildGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		a := u.group(`{"members":["12025550001","12025550002"]}`)
		b := u.group(`{"members":["12025550002","12025550003"],"child_groups":["` + a + `"]}`)
		u.object(u.call(http.MethodPut, "/groups/"+a,
			`{"members":["12025550001","12025550002"],"child_groups":["`+b+`"]}`), 200)
		read := u.object(u.call(http.MethodGet, "/groups/"+b, ""), 200)
		require.Equal(t, 2.0, read["size"])
		require.Equal(t, []any{a}, read["child_groups"])
		u.send(map[string]any{"to": []string{a, "12025550003"}})
		require.Equal(t,
			map[string]string{
				"12025550001": "Queued 400", "12025550002": "Queued 400",
				"12025550003": "Queued 400",
			}, u.recipientStatuses())

		u.object(u.call(http.MethodPost, "/groups/"+a, `{"add_from_group":"`+b+`"}`), 200)
		require.Equal(t, `["12025550001","12025550002","12025550003"]`, u.membersOf(a))
		u.object(u.call(http.MethodPost, "/groups/"+a,
			`{"remove_from_group":"`+b+`","add":["12025550004","12025550003"]}`), 200)
		require.Equal(t, `["12025550001","12025550004"]`, u.membersOf(a), "add must be applied before remove")
		u.object(u.call(http.MethodPost, "/groups/"+a, `{"add_from_group":"`+a+`","remove_from_group":"`+a+`"}`), 200)
		require.Equal(t, `[]`, u.membersOf(a))
	})
}

// TestEveryRuleOfGroups checks the errors of the group operations and the largest permitted values.
func TestEveryRuleOfGroups(t *testing.T) {
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("1202%07d", i)
		}
		return string(xms.Encode(list))
	}
	for _, row := range []struct {
		name, method, given string
		status              int
		code                string
	}{
		{"name of 20", "POST", `{"name":"` + strings.Repeat("ø", 20) + `"}`, 201, ""},
		{"name of 21", "POST", `{"name":"` + strings.Repeat("ø", 21) + `"}`, 400, "syntax_constraint_violation"},
		{"an empty name", "POST", `{"name":""}`, 400, "syntax_constraint_violation"},
		{"a name in use", "POST", `{"name":"taken"}`, 403, "conflict_group_name"},
		{"10000 members", "POST", `{"members":` + many(10000) + `}`, 201, ""},
		{"10001 members", "POST", `{"members":` + many(10001) + `}`, 400, "syntax_constraint_violation"},
		{"a member is not a number", "POST", `{"members":["you"]}`, 400, "syntax_invalid_parameter_format"},
		{"an unknown child group", "POST", `{"child_groups":["noSuchGroup1"]}`, 403, "unknown_group"},
		{
			"10 child groups", "POST", `{"child_groups":["` + strings.Repeat(`dxCJTlfb1UsF","`, 9) + `dxCJTlfb1UsF"]}`,
			201, "",
		},
		{
			"11 child groups", "POST", `{"child_groups":["` + strings.Repeat(`dxCJTlfb1UsF","`, 10) + `dxCJTlfb1UsF"]}`,
			400, "syntax_constraint_violation",
		},
		{"invalid JSON", "POST", `{`, 400, "syntax_invalid_json"},
		{"auto_update is not an object", "POST", `{"auto_update":1}`, 400, "syntax_invalid_json"},
		{"replace: a name in use", "PUT", `{"name":"taken"}`, 403, "conflict_group_name"},
		{"replace: its own name", "PUT", `{"name":"own"}`, 200, ""},
		{"replace: invalid JSON", "PUT", `[]`, 400, "syntax_invalid_json"},
		{"update: a name in use", "UPDATE", `{"name":"taken"}`, 403, "conflict_group_name"},
		{"update: its own name", "UPDATE", `{"name":"own"}`, 200, ""},
		{
			"update: a long name", "UPDATE", `{"name":"` + strings.Repeat("a", 21) + `"}`, 400,
			"syntax_constraint_violation",
		},
		{"update: a name that is a number", "UPDATE", `{"name":1}`, 400, "syntax_invalid_json"},
		{"update: invalid JSON", "UPDATE", `{`, 400, "syntax_invalid_json"},
		{"update: auto_update", "UPDATE", `{"auto_update":"x"}`, 400, "syntax_invalid_json"},
		{"update: 10001 to add", "UPDATE", `{"add":` + many(10001) + `}`, 400, "syntax_constraint_violation"},
		{"update: 10001 to remove", "UPDATE", `{"remove":` + many(10001) + `}`, 400, "syntax_constraint_violation"},
		{"update: not a number", "UPDATE", `{"remove":["you"]}`, 400, "syntax_invalid_parameter_format"},
		{
			"update: add_from_group is unknown", "UPDATE", `{"add":["12025550143"],"add_from_group":"noSuchGroup1"}`,
			403,
			"unknown_group",
		},
		{
			"update: remove_from_group is unknown", "UPDATE", `{"remove_from_group":"noSuchGroup1"}`, 403,
			"unknown_group",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t,
					Config{
						Calm: true,
						Plans: []Plan{{
							ID: testPlan, Token: testToken,
							Groups: map[string][]string{"dxCJTlfb1UsF": nil},
						}},
					})
				u.group(`{"name":"taken"}`)
				own := u.group(`{"name":"own","members":["12025550199"]}`)
				before := u.call(http.MethodGet, "/groups/"+own, "").body
				method, path := row.method, "/groups"
				if method != http.MethodPost {
					path += "/" + own
				}
				if method == "UPDATE" {
					method = http.MethodPost
				}
				h := u.call(method, path, row.given)
				if row.code == "" {
					require.Equal(t, row.status, h.status, h.body)
					return
				}
				u.refused(h, row.status, row.code)
				require.Equal(t, before, u.call(http.MethodGet, "/groups/"+own, "").body,
					"a refused change must not be applied in part")
				require.Equal(t, 3.0, u.object(u.call(http.MethodGet, "/groups", ""), 200)["count"])
			})
		})
	}
}

func TestFeedbackOnABatchToAGroupAndNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{
			"to":               []string{u.group(`{"members":["12025550001"]}`), "12025550002"},
			"feedback_enabled": true,
		})
		u.refused(u.feedback(id), 400, "syntax_constraint_violation")
		require.Equal(t, 202, u.feedback(id, "12025550001", "12025550002").status)
		require.Equal(t, map[ledger.BatchRecipient]int{
			{Batch: id, Recipient: "12025550001"}: 1, {Batch: id, Recipient: "12025550002"}: 1,
		},
			u.sim.Ledger().AppliedFeedback())
	})
}
