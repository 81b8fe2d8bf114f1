package main

import "sync"

// hub knows who hears broadcasts.
type hub struct {
	// Held for the whole of a broadcast, so that all clients hear all of them in the same order.
	mutex   sync.Mutex
	clients map[*client]struct{}
}

func newHub() *hub {
	return &hub{clients: make(map[*client]struct{})}
}

// join greets the client and lets it hear broadcasts, in that order.
func (h *hub) join(c *client, greeting []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	c.send(greeting)
	h.clients[c] = struct{}{}
}

func (h *hub) leave(c *client) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	delete(h.clients, c)
}

// broadcast gives the same bytes to everybody. Nobody is waited for: see [client.send].
func (h *hub) broadcast(line []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for c := range h.clients {
		c.send(line)
	}
}
