package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
)

func TestTimeFlags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble starts at 2000-01-01T00:00:00Z
		for text, want := range map[string]string{
			"90m": "1999-12-31T22:30:00.000Z", "7d": "1999-12-25T00:00:00.000Z", "0s": "2000-01-01T00:00:00.000Z",
			"2026-03-02T10:00:00Z": "2026-03-02T10:00:00.000Z", "2026-03-02T10:00:00.5+01:00": "2026-03-02T09:00:00.500Z",
			"2026-03-02T10:00": "2026-03-02T10:00:00.000Z", "2026-03-02": "2026-03-02T00:00:00.000Z",
		} {
			at := time.Time{}
			require.NoError(t, (&timeFlag{at: &at, sign: -1}).Set(text))
			require.Equal(t, want, clock(at), text)
		}
		for text, want := range map[string]string{"90m": "2000-01-01T01:30:00.000Z", "2d": "2000-01-03T00:00:00.000Z"} {
			at := time.Time{}
			require.NoError(t, (&timeFlag{at: &at, sign: 1}).Set(text))
			require.Equal(t, want, clock(at), text)
		}
	})
	for _, text := range []string{"", "soon", "-1h", "-1d", "1.5d", "99999d", "2026-13-01", "10:00"} {
		at := time.Time{}
		require.ErrorIs(t, (&timeFlag{at: &at, sign: -1}).Set(text), errTime, text)
		require.Zero(t, at)
	}
}

func TestPrintableEscapesUnprintableCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"plain, käse 東京 👍": "plain, käse 東京 👍",
		"two\nlines\tand":  `two\nlines\tand`, "\x1b[31mred\a": `\x1b[31mred\a`,
		"bro\xffken": `bro\xffken`, "say \"hi\"\n": `say \"hi\"\n`, "\u202eback": `\u202eback`,
	} {
		require.Equal(t, want, printable(text))
	}
	require.Equal(t, "käs…", shortened("käsekuchen", 4))
	require.Equal(t, "käse", shortened("käse", 4))
}

func TestTablesAreAligned(t *testing.T) {
	var shown strings.Builder
	table := newTable(&shown, "A", "LONG HEADING", "C")
	require.NoError(t, table.print("nothing"))
	table.row("käse", "", "\n")
	table.row("a much longer one", "x", "y")
	require.NoError(t, table.print("nothing"))
	require.Equal(t, "nothing\n"+
		"A                  LONG HEADING  C\n"+
		"käse               -             \\n\n"+
		"a much longer one  x             y\n", shown.String())
	full := newTable(closedFile(t), "A")
	full.row("x")
	require.Error(t, full.print(""), "a write error must be returned")
}

func closedFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/closed")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f
}

func TestShellQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"order/7": "order/7", "order 7": "'order 7'", "": "''", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a;b": "'a;b'",
	} {
		require.Equal(t, want, shellQuoted(text))
	}
}

func TestAdviceIfABatchMayHaveBeenSent(t *testing.T) {
	answer := func(status int) error {
		return fmt.Errorf("wrapped: %w", &sinch.Error{Operation: sinch.SendBatch, HTTPStatus: status})
	}
	for name, err := range map[string]error{
		"a server's failure": answer(500), "not readable": answer(201), "timeout": context.DeadlineExceeded,
		"stopped": context.Canceled,
		"cut off": &net.OpError{Op: "read", Err: errors.New("reset")},
	} {
		var advice advised
		require.ErrorAs(t, adviseSend(err, ""), &advice, name)
		require.Contains(t, advice.advice, "may have been sent", name)
	}
	for name, err := range map[string]error{
		"refused": answer(403), "too many": answer(429), "invalid": &sinch.InvalidError{Member: "to"},
		"not reached": &net.OpError{Op: "dial", Err: errors.New("refused")},
		"no token":    &sinch.Error{Operation: sinch.FetchToken, HTTPStatus: 503},
	} {
		require.False(t, outcomeUnknown(err), name)
	}
	require.NoError(t, adviseSend(nil, ""))
}

func TestErrorsThatAPersonCanFixHaveAdvice(t *testing.T) {
	for _, e := range []*sinch.Error{
		{HTTPStatus: 401},
		{HTTPStatus: 401, Operation: sinch.FetchToken},
		{HTTPStatus: 403},
		{HTTPStatus: 404},
		{HTTPStatus: 429},
		{HTTPStatus: 500},
		{HTTPStatus: 503},
		{HTTPStatus: 403, Code: "missing_callback_url"},
		{HTTPStatus: 403, Code: "unknown_group"},
		{HTTPStatus: 403, Code: "batch_already_dispatched"},
		{HTTPStatus: 403, Code: "blocked_account"},
		{HTTPStatus: 403, Code: "illegal_number_type"},
	} {
		require.NotEmpty(t, adviceOn(e), "%d %s", e.HTTPStatus, e.Code)
	}
	require.Empty(t, adviceOn(&sinch.Error{HTTPStatus: 400, Text: "the text explains it"}))
	seen := map[string]bool{}
	for _, op := range []sinch.Operation{sinch.SendBatch, sinch.SendFeedback, sinch.GetRecipientReport, sinch.GetBatch} {
		advice := notFoundAdvice(op)
		require.False(t, seen[advice], op)
		seen[advice] = true
	}
}

func TestABatchIsFinishedOnceWaitingIsUseless(t *testing.T) {
	deadline := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for check, finished := range map[string]bool{
		`null`: true, `{"attempts": 0, "ended": true}`: true, `{"attempts": 1, "due": "2026-03-02T09:00:00Z"}`: true,
		`{"attempts": 0, "due": "2026-03-02T09:00:00Z"}`: false, `{"attempts": 0, "due": "2026-03-02T10:00:00.001Z"}`: true,
	} {
		b := missingBatch{}
		require.NoError(t, json.Unmarshal([]byte(`{"fetch": `+check+`}`), &b.after))
		require.Equal(t, finished, b.finished(deadline), check)
	}
}

func TestFoundCountsMessagesThatReachedAFinalStatus(t *testing.T) {
	b := missingBatch{
		before: batchState{Counts: map[dlr.Status]int{dlr.Dispatched: 5, dlr.Delivered: 1, "Invented": 3}},
		after:  batchState{Counts: map[dlr.Status]int{dlr.Delivered: 4, dlr.Failed: 2, dlr.Queued: 1}},
	}
	require.Equal(t, 5, b.found())
}
