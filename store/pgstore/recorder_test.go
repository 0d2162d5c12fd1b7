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

// wire stands between a store and its server and notes every statement, as the server gets it.
type wire struct {
	mu       sync.Mutex
	sent     map[string]sent // by statement, with the parameters of the last time; guarded by mu
	straying []string        // statements that left the slot of their transaction; guarded by mu
}

// sent is a statement's parameters as they were encoded.
type sent struct {
	values  [][]byte
	formats []int16
}

func newWire() *wire { return &wire{sent: make(map[string]sent)} }

// before stands before the server of a URL until the test ends, and returns the URL for a store.
func (w *wire) before(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	network, server := "tcp", u.Host
	if folder := q.Get("host"); folder != "" {
		network, server = "unix", filepath.Join(folder, ".s.PGSQL."+q.Get("port"))
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
		running.Wait() // until the store and the server have hung up
	})
	here := listener.Addr().(*net.TCPAddr)
	u.Host = ""
	q.Set("host", here.IP.String())
	q.Set("port", strconv.Itoa(here.Port))
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String()
}

// pass passes one connection on.
func (w *wire) pass(client net.Conn, network, server string) {
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
	_ = w.listen(bufio.NewReaderSize(client, 1<<16), there)
	_ = there.Close()
	answering.Wait()
}

// listen passes on what a client says: its first message has no type.
func (w *wire) listen(client *bufio.Reader, server io.Writer) error {
	s := session{wire: w, prepared: make(map[string]string)}
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
			s.note(message[0], message[5:])
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}

// session is what is known of one connection.
type session struct {
	*wire
	prepared map[string]string // statements by their names
	within   bool              // a transaction
	slot     string            // of the transaction; empty before its first
}

// note takes down a message of the extended protocol or a plain query. See "Message Formats" in PostgreSQL's manual.
func (s *session) note(kind byte, body []byte) {
	switch kind {
	case 'P':
		name, rest := text(body)
		s.prepared[name], _ = text(rest)
	case 'Q':
		statement, _ := text(body)
		s.wire.mu.Lock()
		s.wire.sent[statement] = sent{}
		s.wire.mu.Unlock()
		s.slot, s.within = "", strings.HasPrefix(strings.ToLower(statement), "begin")
	case 'B':
		_, rest := text(body)
		name, rest := text(rest)
		s.bound(s.prepared[name], rest)
	}
}

// bound notes a statement with its parameters.
func (s *session) bound(statement string, rest []byte) {
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
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	s.wire.sent[statement] = now
	if !s.within || !strings.Contains(statement, "slot") || len(now.values) == 0 || len(now.values[0]) != 2 {
		return
	}
	slot := fmt.Sprint(binary.BigEndian.Uint16(now.values[0]))
	if s.slot != "" && s.slot != slot {
		s.wire.straying = append(s.wire.straying, statement)
	}
	s.slot = slot
}

// text is a text that ends with a zero, and what follows it.
func text(b []byte) (string, []byte) {
	before, after, _ := bytes.Cut(b, []byte{0})
	return string(before), after
}
