package pgstore_test

import (
	"bytes"
	"net"
)

// mute selects the client whose bytes are dropped.
type mute struct {
	text   []byte   // nil once a client has sent it
	client net.Conn // the client that has sent text
}

// hold selects the client whose next COMMIT is held back.
type hold struct {
	text   []byte   // nil once a client has sent it
	client net.Conn // the client that has sent text; nil once its COMMIT is held back
	held   chan struct{}
	let    chan struct{}
}

// silence drops all further bytes of the next client that sends text, and keeps its connection open.
func (p *proxy) silence(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute{text: []byte(text)}
}

// muted reports whether to drop the bytes that client sends. It blocks while they are held back.
func (p *proxy) muted(client net.Conn, sent []byte) bool {
	p.mu.Lock()
	if p.mute.text != nil && bytes.Contains(sent, p.mute.text) {
		p.mute = mute{client: client}
	}
	lost, h := p.mute.client == client, p.hold
	switch {
	case h.text != nil && bytes.Contains(sent, h.text):
		p.hold.text, p.hold.client = nil, client
	case h.client == client && isCommit(sent):
		p.hold.client = nil
		p.mu.Unlock()
		close(h.held)
		<-h.let
		return lost
	}
	p.mu.Unlock()
	return lost
}

// holdCommit holds back the COMMIT of the next transaction in which a client sends text. held is closed when the
// COMMIT is held back; the caller closes let to release it.
func (p *proxy) holdCommit(text string) (held <-chan struct{}, let chan<- struct{}) {
	h := hold{text: []byte(text), held: make(chan struct{}), let: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = h
	return h.held, h.let
}

// silenced reports whether the bytes of a client are being dropped.
func (p *proxy) silenced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute.client != nil
}
