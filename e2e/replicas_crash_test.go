package e2e

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// TestReplicasCrash kills replicas and their database repeatedly under load. Afterwards it compares the state of each
// replica, and the feedback of all together, with the simulator's ledger, and the events that an application received
// with the state.
func TestReplicasCrash(t *testing.T) {
	t.Parallel()
	replicas, databases := 4, 1 // numbers of kills
	if long() {
		replicas, databases = 25, 6
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	database := pgtest.Start(t, pgtest.Config{Durable: true})
	sinch, origin := newSinch(t, seed)
	application := newSink(t, seed)
	c := newCluster(t, sinch, origin, database.Database(t), application.destination(50),
		"coalesce: 50ms, rate: 600, timeout: 2s")
	c.start()
	stopLoad := startLoad(t, sinch, origin, 300)
	c.waitCalling()
	kills := 0 // number of killed processes that may have had calls in flight
	for range replicas + databases {
		if len(c.running()) == 0 {
			c.start()
		}
		if long() {
			c.waitFeedback(10) // a replica that was killed must wait before it may send again
		}
		c.waitCallbacks(50 + random.IntN(500))
		if random.IntN(replicas+databases) < databases {
			databases--
			kills += len(c.running())
			database.Kill(t)
			if random.IntN(2) == 0 {
				c.waitRefusal() // else the database is back before any callback fails
			}
			database.Restart(t)
			continue
		}
		replicas--
		kills++
		running := c.running()
		running[random.IntN(len(running))].kill()
		if random.IntN(2) == 0 {
			c.start() // else the other replicas serve
		}
	}
	c.start()
	c.waitCallbacks(100)
	stopLoad()
	c.waitSettled()
	waitDelivered(c.replicas[0].program)

	ledger := sinch.Ledger()
	// 0 is no answer: on a slow machine, one through the balancer may take longer than Sinch waits.
	checkAnswers(t, ledger, 0, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout)
	checkStates(t, c.replicas[0].program, ledger)
	checkReplicas(t, c, ledger)
	checkFeedback(t, ledger, kills)
	checkEvents(t, c.replicas[0].program, application)
}
