package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestCheckedCountsOnce(t *testing.T) {
	l := lacking(t, asking)
	for range 3 {
		l.checks(60)
		require.Equal(t, &Check{Due: at(180), Asked: 1}, l.batch.Check, "whoever records it again changes nothing")
	}
	l.checks(179)
	require.Equal(t, &Check{Due: at(180), Asked: 1}, l.batch.Check)
}

func TestCheckedAfterAReportThatCameMeanwhile(t *testing.T) {
	l := lacking(t, asking)
	l.fold(arrives(61, says(alice, dlr.Delivered, 0, at(1))), arrives(62, Checked{BatchID: "batch", Refused: "404 not_found"}))
	require.Equal(t, &Check{Due: at(121)}, l.batch.Check)
}

func TestRefusedIsTheEnd(t *testing.T) {
	l := lacking(t, asking)
	l.fold(arrives(60, Checked{BatchID: "batch", Refused: "404 not_found"}))
	require.Equal(t, &Check{Asked: 1}, l.batch.Check)
	l.checks(61)
	l.fold(arrives(62, sends(2)), arrives(63, says(alice, dlr.Delivered, 0, at(1)).polled()), arrives(64, settles(Retry)))
	require.Equal(t, &Check{Asked: 1}, l.batch.Check, "nothing that is asked for changes it")
	l.fold(arrives(70, says(alice, dlr.Dispatched, 401, at(1))))
	require.Equal(t, &Check{Due: at(130)}, l.batch.Check, "Sinch calls back: there is something to say")
}

func TestCanceledBatch(t *testing.T) {
	canceled := sends(2)
	canceled.Canceled, canceled.ModifiedAt = true, at(1)
	t.Run("that never left", func(t *testing.T) {
		l := newLedger(t, asking)
		l.fold(arrives(1, canceled), arrives(60, whole(0).polled()), arrives(61, Checked{BatchID: "batch"}))
		require.Equal(t, &Check{Asked: 1}, l.batch.Check, "there are no reports of it")
	})
	t.Run("that was stopped midway", func(t *testing.T) {
		l := newLedger(t, asking)
		l.fold(
			arrives(1, canceled), arrives(60, whole(2, entry(dlr.Cancelled, 407, 1, alice), entry(dlr.Dispatched, 401, 1, bob)).polled()),
			arrives(61, Checked{BatchID: "batch"}),
		)
		require.Equal(t, &Check{Due: at(181), Asked: 1}, l.batch.Check, "one is under way")
		l.fold(arrives(181, whole(2, entry(dlr.Cancelled, 407, 1, alice), entry(dlr.Delivered, 0, 1, bob)).polled()))
		require.Nil(t, l.batch.Check)
	})
}

// TestEveryCheckEnds follows what a reconciler does after any news: a batch is neither asked after too often, nor for ever,
// nor forgotten.
func TestEveryCheckEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.Missing.Silence += time.Second
		l, second := newLedger(t, p), 0
		for range rapid.IntRange(1, 15).Draw(t, "news") {
			second += rapid.IntRange(0, 40).Draw(t, "seconds")
			l.fold(arrives(second, drawNews(t)))
		}
		if l.batch.Check == nil {
			return
		}
		now, end := at(second), l.batch.end(p.Missing)
		latest := end
		for _, t := range []time.Time{now, l.batch.Facts.SentAt()} {
			if t.Add(p.Missing.Silence << maxSilence).After(latest) {
				latest = t.Add(p.Missing.Silence << maxSilence)
			}
		}
		asked := l.batch.Check.Asked
		for c := l.batch.Check; !c.Due.IsZero(); c = l.batch.Check {
			require.False(t, c.Due.After(latest), "due at %s, long after %s", c.Due, latest)
			if c.Due.After(now) {
				now = c.Due
			}
			last := now
			l.fold(Arrival{Plan: "plan", At: now, News: Checked{BatchID: "batch"}})
			c = l.batch.Check
			require.Equal(t, asked+1, c.Asked)
			asked = c.Asked
			if c.Due.IsZero() {
				break
			}
			require.True(t, last.Before(end), "asked again after the end")
			silent := c.Due.Sub(last) >= p.Missing.Silence<<min(asked, maxSilence)
			require.True(t, silent || c.Due.Equal(end), "asked again too soon")
		}
	})
}
