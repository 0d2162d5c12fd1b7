package pgstore_test

import (
	"bytes"
	"net"
	"slices"
)

// mute is a client that is not heard any more from a text on that it sends.
type mute struct {
	text   []byte   // not nil until a client sends it
	client net.Conn // that sent it
}

// hold is a client whose next COMMIT after a text that it sends is held back.
type hold struct {
	text   []byte   // not nil until a client sends it
	client net.Conn // that sent it; nil once its COMMIT is held
	held   chan struct{}
	let    chan struct{}
}

// silence has the next client that sends a text be heard no more from there on, while its connection stays.
func (p *proxy) silence(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute{text: []byte(text)}
}

// muted reports whether what a client sends is lost. It returns late when it is held back.
func (p *proxy) muted(client net.Conn, sent []byte) bool {
	p.mu.Lock()
	if p.mute.text != nil && bytes.Contains(sent, p.mute.text) {
		p.mute = mute{client: client}
	}
	lost, h := p.mute.client == client, p.hold
	switch {
	case h.text != nil && bytes.Contains(sent, h.text):
		p.hold.text, p.hold.client = nil, client
	case h.client == client && slices.ContainsFunc(commits(), func(c []byte) bool { return bytes.Contains(sent, c) }):
		p.hold.client = nil
		p.mu.Unlock()
		close(h.held)
		<-h.let
		return lost
	}
	p.mu.Unlock()
	return lost
}

// holdCommit holds back the COMMIT of the next transaction in which a client sends a text. held is closed when it is held, let
// is to be closed for it to go on.
func (p *proxy) holdCommit(text string) (held <-chan struct{}, let chan<- struct{}) {
	h := hold{text: []byte(text), held: make(chan struct{}), let: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = h
	return h.held, h.let
}

// silenced reports whether a client was silenced.
func (p *proxy) silenced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute.client != nil
}
