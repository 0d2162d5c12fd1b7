package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// storeTime is how long the gateway delays an answer while the store has not recorded the batch. An answer that
// arrived sooner means that the batch is durable.
const storeTime = 100 * time.Millisecond

// TestGatewayCrash kills dlrloop while applications send through its gateway. Every batch that was answered within
// storeTime must be stored. The batches have no reports, so only the gateway can have recorded them.
func TestGatewayCrash(t *testing.T) {
	_, origin := newSinch(t, 1)
	p := newProgram(t, plan, token, secret, origin)
	p.start()
	for round := range 3 {
		ids := sendUntilKilled(t, p, 100)
		p.start()
		unknown := 0
		for _, id := range ids {
			answer, err := http.Get("http://" + p.private + "/api/v1/plans/" + plan + "/batches/" + id)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			if answer.StatusCode != http.StatusOK {
				unknown++
			}
		}
		require.Zero(t, unknown, "unknown batches, of %d answered in time before kill %d", len(ids), round+1)
		t.Logf("%d batches answered in time before kill %d, all stored", len(ids), round+1)
	}
}

// sendUntilKilled sends without a pause from several goroutines and kills dlrloop after enough answers. It returns
// the ids of all batches that were answered within storeTime.
func sendUntilKilled(t *testing.T, p *program, enough int) (ids []string) {
	t.Helper()
	var mu sync.Mutex
	answers := 0
	var applications sync.WaitGroup
	arrived := make(chan struct{})
	for n := range 8 {
		applications.Go(func() {
			for {
				begun := time.Now()
				id, err := sendThrough(p, n)
				if err != nil {
					return // dlrloop was killed
				}
				inTime := time.Since(begun) < storeTime
				mu.Lock()
				if answers++; answers == enough {
					close(arrived)
				}
				if inTime {
					ids = append(ids, id)
				}
				mu.Unlock()
			}
		})
	}
	<-arrived
	p.kill()
	applications.Wait()
	return ids
}

// sendThrough sends one batch through the gateway and reads the whole answer.
func sendThrough(p *program, application int) (id string, err error) {
	body := fmt.Sprintf(`{"from":"12025550100","to":["4477009%05d"],"body":"crash","delivery_report":"none",`+
		`"feedback_enabled":true}`, application)
	r, err := http.NewRequest(http.MethodPost, "http://"+p.private+"/xms/v1/"+plan+"/batches",
		bytes.NewBufferString(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var batch struct{ ID string }
	if err := json.Unmarshal(read, &batch); err != nil || answer.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("answered %s: %s", answer.Status, read)
	}
	return batch.ID, nil
}
