package main

import (
	"bufio"
	"net"
	"time"
)

// client is one connection: a goroutine that reads and one that writes.
type client struct {
	conn net.Conn
	hub  *hub
	// Lines on their way to the writer. Who fills it is far behind, and is let go.
	outgoing chan []byte
	// Closed when the reader has ended, so that the writer ends too.
	done chan struct{}
	who  claims
}

const (
	// Twice what the deepest benchmark has in flight. It is allocated whole, also for a client that keeps still.
	outgoingMax = 128
	// What one writev takes; more wait for the next.
	joinMax = 64
	lineMax = 1 << 20
	// What a reader begins with; a longer line makes its buffer grow.
	lineSize = 1024
	// As long as the server waits.
	authTimeout = 30 * time.Second
	// A write that takes longer is to somebody who does not read.
	writeTimeout = 30 * time.Second
)

func newClient(conn net.Conn, hub *hub) *client {
	return &client{conn: conn, hub: hub, outgoing: make(chan []byte, outgoingMax), done: make(chan struct{})}
}

// run is the reader's goroutine, from the first line to the last.
func (c *client) run(secret []byte) {
	go c.write()
	defer close(c.done)
	lines := bufio.NewScanner(c.conn)
	lines.Buffer(make([]byte, 0, lineSize), lineMax)
	if !c.authenticate(lines, secret) {
		return
	}
	defer c.hub.leave(c)
	c.read(lines)
}

// authenticate reads the first line, which must show a token.
func (c *client) authenticate(lines *bufio.Scanner, secret []byte) bool {
	c.conn.SetReadDeadline(time.Now().Add(authTimeout))
	if !lines.Scan() {
		return false
	}
	who, err := authenticate(lines.Bytes(), secret, time.Now())
	if err != nil {
		c.send(authFailed(err.Error(), time.Now()))
		return false
	}
	c.conn.SetReadDeadline(time.Time{})
	c.who = who
	c.hub.join(c, authSuccess(who, time.Now()))
	return true
}

// read answers line by line, until the other side has no more.
func (c *client) read(lines *bufio.Scanner) {
	for lines.Scan() {
		line, everybody := answer(c.who, lines.Bytes(), time.Now())
		if everybody {
			c.hub.broadcast(line)
		} else {
			c.send(line)
		}
	}
}

// send puts a line in the queue. A client whose queue is full is disconnected: waiting for it would stop everybody.
func (c *client) send(line []byte) {
	select {
	case c.outgoing <- line:
	default:
		c.conn.Close()
	}
}

// write is the writer's goroutine. What has gathered in the queue leaves together, with one writev.
func (c *client) write() {
	defer c.conn.Close()
	var joined [joinMax][]byte
	for {
		select {
		case line := <-c.outgoing:
			if !c.writeAll(append(joined[:0], line)) {
				return
			}
		case <-c.done:
			c.writeRest()
			return
		}
	}
}

// writeRest writes what the reader has left, such as why it did not let somebody in.
func (c *client) writeRest() {
	for {
		select {
		case line := <-c.outgoing:
			if !c.writeAll(net.Buffers{line}) {
				return
			}
		default:
			return
		}
	}
}

// writeAll adds to the first line what else is there, and writes it.
func (c *client) writeAll(lines net.Buffers) bool {
	for len(lines) < joinMax {
		select {
		case line := <-c.outgoing:
			lines = append(lines, line)
			continue
		default:
		}
		break
	}
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := lines.WriteTo(c.conn)
	return err == nil
}
