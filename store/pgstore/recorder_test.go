package pgstore_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder is a proxy between a store and its server that records every statement.
type recorder struct {
	mu        sync.Mutex
	sent      map[string]sent // by statement, with the parameters of its last execution; guarded by mu
	crossSlot []string        // statements that left the slot of their transaction; guarded by mu
}

// sent holds the encoded parameters of a statement.
type sent struct {
	values  [][]byte
	formats []int16
}

func newRecorder() *recorder { return &recorder{sent: make(map[string]sent)} }

// intercept starts a proxy in front of the server of a URL until the test ends, and returns the URL for the store.
func (w *recorder) intercept(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	network, server := "tcp", u.Host
	if dir := q.Get("host"); dir != "" {
		network, server = "unix", filepath.Join(dir, ".s.PGSQL."+q.Get("port"))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.pass(client, network, server) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		running.Wait() // until the store and the server have closed their connections
	})
	here := listener.Addr().(*net.TCPAddr)
	u.Host = ""
	q.Set("host", here.IP.String())
	q.Set("port", strconv.Itoa(here.Port))
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String()
}

// pass forwards one connection.
func (w *recorder) pass(client net.Conn, network, server string) {
	defer client.Close()
	there, err := net.Dial(network, server)
	if err != nil {
		return
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		_, _ = io.Copy(client, there)
		_ = client.Close()
	})
	_ = w.forward(bufio.NewReaderSize(client, 1<<16), there)
	_ = there.Close()
	answering.Wait()
}

// forward forwards the messages of a client. The first message has no type byte.
func (w *recorder) forward(client *bufio.Reader, server io.Writer) error {
	s := session{recorder: w, prepared: make(map[string]string)}
	for head := 4; ; head = 5 {
		message := make([]byte, head)
		if _, err := io.ReadFull(client, message); err != nil {
			return err
		}
		size := int(binary.BigEndian.Uint32(message[head-4:]))
		message = append(message, make([]byte, size-4)...)
		if _, err := io.ReadFull(client, message[head:]); err != nil {
			return err
		}
		if head == 5 {
			s.record(message[0], message[5:])
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}

// session is the state of one connection.
type session struct {
	*recorder
	prepared map[string]string // statements by name
	within   bool              // in a transaction
	slot     string            // slot of the transaction; empty before its first statement
}

// record records a message of the extended protocol or a simple query. See "Message Formats" in the PostgreSQL
// manual.
func (s *session) record(kind byte, body []byte) {
	switch kind {
	case 'P':
		name, rest := text(body)
		s.prepared[name], _ = text(rest)
	case 'Q':
		statement, _ := text(body)
		s.recorder.mu.Lock()
		s.recorder.sent[statement] = sent{}
		s.recorder.mu.Unlock()
		s.slot, s.within = "", strings.HasPrefix(strings.ToLower(statement), "begin")
	case 'B':
		_, rest := text(body)
		name, rest := text(rest)
		s.recordBound(s.prepared[name], rest)
	}
}

// recordBound records a statement with its parameters.
func (s *session) recordBound(statement string, rest []byte) {
	number := func() int {
		n := binary.BigEndian.Uint16(rest)
		rest = rest[2:]
		return int(n)
	}
	var now sent
	for range number() {
		now.formats = append(now.formats, int16(number()))
	}
	for range number() {
		size := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		var value []byte
		if size >= 0 {
			value, rest = bytes.Clone(rest[:size]), rest[size:]
		}
		now.values = append(now.values, value)
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.sent[statement] = now
	if !s.within || !strings.Contains(statement, "slot") || len(now.values) == 0 || len(now.values[0]) != 2 {
		return
	}
	slot := fmt.Sprint(binary.BigEndian.Uint16(now.values[0]))
	if s.slot != "" && s.slot != slot {
		s.recorder.crossSlot = append(s.recorder.crossSlot, statement)
	}
	s.slot = slot
}

// text splits b after a zero-terminated string.
func text(b []byte) (string, []byte) {
	before, after, _ := bytes.Cut(b, []byte{0})
	return string(before), after
}
