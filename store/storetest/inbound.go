package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var inbound = []behavior{
	{"an inbound message is kept once", inboundOnce},
	{"inbound messages are kept with their bytes", inboundBytes},
	{"inbound messages are filtered", inboundFilters},
	{"an unknown inbound message is not found", inboundNotFound},
	{"inbound messages change no batch and no total", inboundApart},
	{"concurrent copies of an inbound message are kept once", inboundConcurrently},
	{"inbound messages are deleted by retention", inboundDeleted},
}

// texts returns an inbound message with a text.
func texts(id, from, to, text string) store.Inbound {
	return received(map[string]any{"type": dlr.MOText, "id": id, "from": from, "to": to, "body": text})
}

// received returns the inbound message in body together with its raw bytes, which a store may parse again.
func received(body map[string]any) store.Inbound {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	c, err := dlr.Parse(raw)
	if err != nil || c.Inbound == nil {
		panic(fmt.Sprintf("storetest: dlr cannot parse an inbound message: %s: %v", raw, err))
	}
	return store.Inbound{Inbound: c.Inbound, Raw: raw}
}

func (o *opened) inbound(q store.InboundQuery) []store.InboundMessage {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[store.InboundMessage], error) {
		q.Paging = p
		return o.InboundMessages(context.Background(), q)
	})
}

// inboundIDs returns the ids of the messages that match q, in their order.
func (o *opened) inboundIDs(q store.InboundQuery) []string {
	o.t.Helper()
	ids := []string{}
	for _, m := range o.inbound(q) {
		ids = append(ids, m.ID)
	}
	return ids
}

func inboundOnce(t *testing.T, place Place) {
	o := open(t, place, Config{})
	first := texts("mo", alice, "54321", "STOP")
	o.record(arrives(1, first), arrives(2, first))
	o.reopen()
	o.record(arrives(3, first), arrives(4, texts("mo", bob, "54321", "another text, the same id")))
	o.record(at(sec(5), "other", texts("mo", bob, "54321", "another plan")))
	for range 2 {
		want := store.InboundMessage{Plan: plan, ArrivedAt: sec(1), Inbound: first}
		m, err := o.InboundMessage(t.Context(), plan, "mo")
		require.NoError(t, err)
		require.Equal(t, want, m)
		all := o.inbound(store.InboundQuery{})
		require.Len(t, all, 2)
		require.Equal(t, "another plan", all[0].Text)
		require.Equal(t, want, all[1])
		o.reopen()
	}
}

func inboundBytes(t *testing.T, place Place) {
	o := open(t, place, Config{})
	all := []store.Inbound{
		received(map[string]any{"type": dlr.MOText, "id": "only an id"}),
		received(map[string]any{"type": dlr.MOText, "id": "nul \x00", "from": "a\x00b", "body": "a\x00b – 👋"}),
		received(map[string]any{
			"type": dlr.MOBinary, "id": "binary", "from": "+" + alice, "to": "54321", "body": "AAECAwT/", "udh": "0605",
			"sent_at": "2026-03-01T09:59:59.123Z", "received_at": "2026-03-01T09:59:59.999Z", "operator_id": "310260",
		}),
		received(map[string]any{
			"type": dlr.MOMedia, "id": "media", "client_reference": "order 7", "from": "", "to": nil,
			"body": map[string]any{"subject": "re", "media": []any{map[string]any{"url": "https://example.com/1.jpg"}}},
		}),
		{Inbound: texts("spaced", alice, bob, "x").Inbound, Raw: append(texts("spaced", alice, bob, "x").Raw, " \r\n"...)},
	}
	for i, n := range all {
		o.record(arrives(i, n))
	}
	for range 2 {
		stored := o.inbound(store.InboundQuery{})
		slices.Reverse(stored)
		require.Len(t, stored, len(all))
		for i, m := range stored {
			require.Equal(t, store.InboundMessage{Plan: plan, ArrivedAt: sec(i), Inbound: all[i]}, m)
			one, err := o.InboundMessage(t.Context(), plan, all[i].ID)
			require.NoError(t, err)
			require.Equal(t, m, one)
		}
		o.reopen()
	}
}

func inboundFilters(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(1, texts("1", alice, "54321", "")), arrives(2, texts("2", "+"+alice, bob, "")),
		arrives(3, texts("3", bob, "54321", "")), at(sec(3), "other", texts("3", alice, "99", "")),
		arrives(4, texts("4", alice, alice, "")), arrives(5, texts("5", "", "", "")),
	)
	for range 2 {
		for _, c := range []struct {
			q    store.InboundQuery
			want []string
		}{
			{store.InboundQuery{Number: alice}, []string{"4", "3", "2", "1"}},
			{store.InboundQuery{Number: "+" + alice, Plan: plan}, []string{"4", "2", "1"}},
			{store.InboundQuery{Number: "54321"}, []string{"3", "1"}},
			{store.InboundQuery{Number: carol}, []string{}},
			{store.InboundQuery{Number: alice[:6]}, []string{}},
			{store.InboundQuery{Plan: "other"}, []string{"3"}},
			{store.InboundQuery{Plan: "nothing"}, []string{}},
			{store.InboundQuery{Plan: plan, From: sec(2), To: sec(4)}, []string{"3", "2"}},
			{store.InboundQuery{Number: bob, From: sec(3)}, []string{"3"}},
			{store.InboundQuery{Number: bob, To: sec(3)}, []string{"2"}},
			{store.InboundQuery{Plan: plan, To: sec(5).Add(time.Nanosecond)}, []string{"5", "4", "3", "2", "1"}},
			{store.InboundQuery{Plan: plan, From: sec(4).Add(time.Nanosecond)}, []string{"5"}},
			{store.InboundQuery{From: sec(6)}, []string{}},
		} {
			require.Equal(t, c.want, o.inboundIDs(c.q), "%+v", c.q)
		}
		o.reopen()
	}
	page, err := o.InboundMessages(t.Context(), store.InboundQuery{Paging: store.Paging{Limit: 1}})
	require.NoError(t, err)
	require.Equal(t, "5", page.Items[0].ID)
	later := store.InboundQuery{To: sec(3), Paging: store.Paging{Cursor: page.Next}}
	page, err = o.InboundMessages(t.Context(), later)
	require.NoError(t, err)
	for _, m := range page.Items {
		require.True(t, m.ArrivedAt.Before(sec(3)), "a cursor does not lift the filter")
	}
}

func inboundNotFound(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(1, texts("mo", alice, "54321", "")))
	for _, k := range []store.BatchKey{
		{Plan: plan, BatchID: "m"},
		{Plan: plan, BatchID: "mo "},
		{Plan: plan, BatchID: "MO"},
		{Plan: plan},
		{Plan: "other", BatchID: "mo"},
		{BatchID: "mo"},
	} {
		_, err := o.InboundMessage(t.Context(), k.Plan, k.BatchID)
		require.ErrorIs(t, err, store.ErrNotFound, "%q", k)
	}
	for _, cursor := range []string{"x", "!", "eyJ9"} {
		_, err := o.InboundMessages(t.Context(), store.InboundQuery{Paging: store.Paging{Cursor: cursor}})
		if err != nil {
			require.ErrorIs(t, err, store.ErrCursor)
		}
	}
}

func inboundApart(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	before := o.stats(plan)
	o.record(arrives(1, texts("batch", alice, "54321", "")), arrives(2, texts("mo", alice, "54321", "")))
	require.Equal(t, before, o.stats(plan))
	require.Len(t, o.batches(store.BatchQuery{}), 1)
	require.Len(t, o.recipientBatches(alice), 1)
	require.Empty(t, o.quarantine())
}

func inboundConcurrently(t *testing.T, place Place) {
	o := open(t, place, Config{})
	var g errgroup.Group
	for i := range 40 {
		g.Go(func() error { return o.persist(arrives(i, texts(fmt.Sprint(i%10), number(i%10), "54321", ""))) })
	}
	require.NoError(t, g.Wait())
	require.Len(t, o.inbound(store.InboundQuery{}), 10)
	require.Len(t, o.inbound(store.InboundQuery{Number: "54321"}), 10)
	require.Len(t, o.inbound(store.InboundQuery{Number: number(3)}), 1)
}

func inboundDeleted(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i := range 10 {
		o.record(arrives(i, texts(fmt.Sprint(i), alice, "54321", "")))
	}
	o.deleteOlder(sec(7), 10)
	for range 2 {
		require.Equal(t, []string{"9", "8", "7"}, o.inboundIDs(store.InboundQuery{}))
		require.Equal(t, []string{"9", "8", "7"}, o.inboundIDs(store.InboundQuery{Number: alice}))
		require.Equal(t, []string{"9", "8", "7"}, o.inboundIDs(store.InboundQuery{Number: "54321"}))
		_, err := o.InboundMessage(t.Context(), plan, "6")
		require.ErrorIs(t, err, store.ErrNotFound)
		o.reopen()
	}
	o.record(arrives(11, texts("6", alice, "54321", "again")))
	require.Equal(t, []string{"6", "9", "8", "7"}, o.inboundIDs(store.InboundQuery{}))
}
