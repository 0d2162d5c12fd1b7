package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

const (
	testPlan  = "jd63jf88477ll123ab4567cd89012ef3"
	testToken = "token-1"
	hooks     = "http://customer.test/hooks"
)

// pipes is a net.Listener whose connections are net.Pipes, so that real net/http works in a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serveOnPipes serves h until the test ends and returns a transport that connects to it.
func serveOnPipes(t *testing.T, h http.Handler) *http.Transport {
	t.Helper()
	p := newPipes()
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(p)
	}()
	transport := &http.Transport{DialContext: p.dial, MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		<-done
	})
	return transport
}

// post is a callback that the customer received.
type post struct {
	at     time.Time
	path   string
	header http.Header
	body   []byte
	report struct {
		Type       string
		BatchID    string `json:"batch_id"`
		Recipient  string
		Status     string
		Code       int
		At         string
		OperatorAt string `json:"operator_status_at"`
		Statuses   []statusRow
		Total      int `json:"total_message_count"`
	}
}

// statusRow is one element of statuses in a batch report.
type statusRow struct {
	Code       int      `json:"code"`
	Count      int      `json:"count"`
	Recipients []string `json:"recipients,omitempty"`
	Status     string   `json:"status"`
}

// customer receives the callbacks of testPlan and calls the API.
type customer struct {
	t      *testing.T
	sim    *Simulator
	client *http.Client
	// answer returns the status for the n-th callback, from 1. 0 means hang, -1 close the connection; nil: always 200.
	answer func(n int, p post) int

	mu    sync.Mutex
	posts []post
}

// newCustomer returns a customer with a new simulator. Callbacks are sent only after run.
func newCustomer(t *testing.T, c Config) *customer {
	t.Helper()
	u := &customer{t: t}
	if c.Plans == nil {
		c.Plans = []Plan{{ID: testPlan, Token: testToken, CallbackURL: hooks}}
	}
	c.Transport = serveOnPipes(t, u)
	var err error
	u.sim, err = New(c)
	require.NoError(t, err)
	u.client = &http.Client{Transport: serveOnPipes(t, u.sim.API())}
	return u
}

// run runs the simulator until the test ends.
func (u *customer) run() *customer {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.sim.Run(ctx) }()
	u.t.Cleanup(func() {
		stop()
		require.NoError(u.t, <-done)
	})
	return u
}

func (u *customer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := post{at: time.Now(), path: r.URL.RequestURI(), header: r.Header.Clone()}
	p.body, _ = io.ReadAll(r.Body)
	_ = json.Unmarshal(p.body, &p.report)
	u.mu.Lock()
	u.posts = append(u.posts, p)
	n := len(u.posts)
	u.mu.Unlock()
	status := http.StatusOK
	if u.answer != nil {
		status = u.answer(n, p)
	}
	switch status {
	case 0:
		<-r.Context().Done()
	case -1:
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(status)
	}
}

func (u *customer) received() []post {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]post{}, u.posts...)
}

// settle advances the bubble's time until the simulator is settled.
func (u *customer) settle() {
	u.t.Helper()
	deadline := time.Now().Add(48 * time.Hour)
	for step := 50 * time.Millisecond; !u.sim.Settled(); step += step / 8 {
		require.True(u.t, time.Now().Before(deadline), "not settled after two days")
		time.Sleep(step)
		synctest.Wait()
	}
}

// response is an answer of the API.
type response struct {
	status int
	header http.Header
	body   string
}

func (u *customer) call(method, path, body string) response {
	u.t.Helper()
	h, err := u.try(context.Background(), method, path, body)
	require.NoError(u.t, err)
	return h
}

func (u *customer) try(ctx context.Context, method, path, body string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://sinch.test/xms/v1/"+testPlan+path,
		bytes.NewBufferString(body))
	require.NoError(u.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := u.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, string(read)}, err
}

// send sends a batch and returns its id. It adds body and from if request has none.
func (u *customer) send(request map[string]any) string {
	u.t.Helper()
	request = maps.Clone(request)
	if request["body"] == nil {
		request["body"] = "hello"
	}
	if request["from"] == nil {
		request["from"] = "12025550100"
	}
	h := u.call(http.MethodPost, "/batches", string(xms.Encode(request)))
	require.Equal(u.t, http.StatusCreated, h.status, h.body)
	var sent struct{ ID string }
	require.NoError(u.t, json.Unmarshal([]byte(h.body), &sent))
	require.NotEmpty(u.t, sent.ID)
	return sent.ID
}

func (u *customer) feedback(batch string, recipients ...string) response {
	u.t.Helper()
	return u.call(http.MethodPost, "/batches/"+batch+"/delivery_feedback",
		string(xms.Encode(map[string]any{"recipients": append([]string{}, recipients...)})))
}

// numbers returns n phone numbers from a range reserved for fiction.
func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "1202555" + string([]byte{
			byte('0' + i/1000%10), byte('0' + i/100%10), byte('0' + i/10%10),
			byte('0' + i%10),
		})
	}
	return list
}

// statuses returns the statuses of the recipient reports in order of arrival.
func statuses(posts []post) []string {
	list := []string{}
	for _, p := range posts {
		list = append(list, p.report.Status)
	}
	return list
}

// object checks the status of h and returns its body, a JSON object.
func (u *customer) object(h response, status int) map[string]any {
	u.t.Helper()
	require.Equal(u.t, status, h.status, h.body)
	var read map[string]any
	require.NoError(u.t, json.Unmarshal([]byte(h.body), &read), h.body)
	return read
}

// get returns a batch as the API answers it.
func (u *customer) get(batch string) map[string]any {
	u.t.Helper()
	return u.object(u.call(http.MethodGet, "/batches/"+batch, ""), http.StatusOK)
}

// refused checks that h is an error answer with the given status and code, and that it has a text.
func (u *customer) refused(h response, status int, code string) {
	u.t.Helper()
	read := u.object(h, status)
	require.Equal(u.t, code, read["code"])
	require.NotEmpty(u.t, read["text"])
	require.Len(u.t, read, 2)
}

// recipientStatuses returns status and code of each recipient of the first batch, from the ledger.
func (u *customer) recipientStatuses() map[string]string {
	seen := map[string]string{}
	for _, r := range u.sim.Ledger().Batches[0].Recipients {
		seen[r.Recipient] = fmt.Sprintf("%s %d", r.Status, r.Code)
	}
	return seen
}
