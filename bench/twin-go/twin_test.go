package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// sign makes a token for a user, as the server would.
func sign(user string, expires time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	head := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(fmt.Sprintf(
		`{"user_id":"%s","username":"%s","iss":"mangahub","exp":%d}`, user, user, expires.Unix())))
	signer := hmac.New(sha256.New, secret)
	signer.Write([]byte(head))
	return head + "." + part(signer.Sum(nil))
}

// Shows which tokens are taken, and that a changed or expired one, or one of another secret, is not.
func TestTokens(t *testing.T) {
	now := time.Now()
	good := sign("u", now.Add(time.Hour))
	if who, err := verify(good, secret, now); err != nil || who.UserID != "u" {
		t.Fatal(who, err)
	}
	for _, bad := range []string{"", "a.b.c", good + "x", sign("u", now.Add(-time.Hour))} {
		if _, err := verify(bad, secret, now); err == nil {
			t.Error("taken:", bad)
		}
	}
	if _, err := verify(good, []byte("another"), now); err == nil {
		t.Error("taken with another secret")
	}
}

type peer struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Scanner
}

func (p *peer) say(line string) {
	if _, err := p.conn.Write([]byte(line + "\n")); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) hear(words ...string) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if !p.lines.Scan() {
		p.t.Fatal("nothing came, but should have: ", words)
	}
	for _, word := range words {
		if !strings.Contains(p.lines.Text(), word) {
			p.t.Fatalf("%s is not in %s", word, p.lines.Text())
		}
	}
}

// server listens on a free port until the test ends, and returns a way to connect to it.
func server(t *testing.T) func() *peer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go serve(listener, newHub(), secret)
	return func() *peer {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &peer{t, conn, bufio.NewScanner(conn)}
	}
}

// Shows the whole dialect over a socket: the beginning, a ping, an update that both hear, and what is refused.
func TestDialect(t *testing.T) {
	connect := server(t)
	reader, writer := connect(), connect()
	for _, peer := range []*peer{reader, writer} {
		peer.say(`{"type":"auth","data":{"token":"` + sign("u", time.Now().Add(time.Hour)) + `"}}`)
		peer.hear("auth_success", `"user_id":"u"`)
	}
	writer.say(`{"type":"ping","data":{"client_time":7}}`)
	writer.hear("pong", `"client_time":7`)
	writer.say(`{"type":"progress","data":{"manga_id":"m","current_chapter":10001}}`)
	for _, peer := range []*peer{reader, writer} {
		peer.hear(`"broadcast"`, `"current_chapter":10001`, `"stored":false`)
	}
	for line, code := range map[string]string{
		`nonsense`:     "INVALID_MESSAGE",
		`{"type":"x"}`: "UNKNOWN_MESSAGE_TYPE",
		`{"type":"progress","data":{"manga_id":"m"}}`: "INVALID_DATA",
	} {
		writer.say(line)
		writer.hear("error", code)
	}
}

// Shows that whoever shows no token, or a wrong one, is told why and is let go.
func TestNobodyEntersWithoutAToken(t *testing.T) {
	connect := server(t)
	for _, line := range []string{`{"type":"ping"}`, `{"type":"auth","data":{"token":"no"}}`, `nonsense`} {
		stranger := connect()
		stranger.say(line)
		stranger.hear("auth_failed")
		if stranger.lines.Scan() {
			t.Error("still there: ", stranger.lines.Text())
		}
	}
}

// Shows that somebody who does not read is let go, and that the others hear everything meanwhile.
func TestTheSlowAreLetGo(t *testing.T) {
	hub := newHub()
	here, there := net.Pipe()
	slow := newClient(here, hub)
	hub.join(slow, []byte("hello\n"))
	for range make([]struct{}, outgoingMax) {
		hub.broadcast([]byte("x\n"))
	}
	if _, err := there.Write([]byte("x")); err == nil {
		t.Error("still open")
	}
}
