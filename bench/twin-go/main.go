// Twin-go speaks MangaHub's first TCP dialect (auth, ping, progress and its broadcast) with goroutines, so that two
// ways of writing the same server can be laid side by side. It is a peer of the benchmarks, not a server to run:
// nothing is stored, and every series counts as one outside the catalogue.
//
// # What differs from the reactor
//
// MangaHub's reactor is one thread and one loop. It asks the kernel which sockets are ready, reads each, notes what
// everybody is owed, and writes to each socket once a turn. A connection is a small struct that waits for the loop to
// come by. Nothing is locked, because nothing runs at the same time.
//
// Here a connection is two goroutines. The reader's code says what happens in the order in which it happens: read
// a line, answer it, read the next ([client.read]). When there is nothing to read it sleeps, and Go's runtime, which
// has an epoll loop of its own, wakes it. No state machine, no buffer that is half a message: the stack remembers.
// The writer sleeps on a channel and writes what comes out of it ([client.write]).
//
// What that costs is what the benchmarks show:
//
//   - Memory: two stacks of at least 2 KiB, a read buffer and a queue for each connection, also while it is idle. The
//     reactor keeps some two hundred bytes, and one read buffer for all.
//   - Handing over: a broadcast to a thousand clients is a thousand channel operations, each of which may wake a
//     goroutine, before anything is written ([hub.broadcast]). The reactor puts the same bytes on a list.
//   - Joining: messages that follow closely leave in one system call only if the writer finds several in its channel.
//     The reactor joins whatever a turn brought, because it writes at the end of the turn.
//   - Locks: whoever joins, leaves or is told something must be counted under a lock.
//
// What it gains: it uses every core without another line of code, a slow step (a database, a password) stops one
// client instead of all, and there is less of it to read. On one core, as in the benchmarks, only the last remains.
//
// Bounds are the reactor's: a line of at most 1 MiB, 30 seconds to authenticate, and a client that does not read what
// it is owed is let go.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen; port 0 lets the system choose")
	version := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *version {
		fmt.Println("twin-go, built with", runtime.Version())
		return
	}
	secret := os.Getenv("MANGAHUB_AUTH_SECRET")
	if secret == "" {
		log.Fatal("twin-go: MANGAHUB_AUTH_SECRET, which signs the tokens, is empty")
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal("twin-go: ", err)
	}
	fmt.Println("listening", listener.Addr())
	go endWithStdin()
	serve(listener, newHub(), []byte(secret))
}

// serve accepts until the listener is closed. A connection that could not be accepted is somebody else's loss.
func serve(listener net.Listener, hub *hub, secret []byte) {
	for {
		conn, err := listener.Accept()
		if err == nil {
			go newClient(conn, hub).run(secret)
			continue
		}
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
			return
		}
	}
}

// endWithStdin ends the process when a pipe on standard input closes: whoever started it is gone.
func endWithStdin() {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
