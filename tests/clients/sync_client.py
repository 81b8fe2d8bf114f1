"""A sync client as people write them by hand: one recv for each message, JSON of whatever came.

It keeps the habits of small scripts on purpose: no buffering of partial lines, no splitting of joined
ones, a thread that listens while the main one sends. The test runs it against a server to show that such
a client works.
"""

import json
import socket
import sys
import threading
import time


class SyncClient:
    def __init__(self, host, port):
        self.connection = socket.create_connection((host, port), timeout=60)
        self.heard = threading.Event()
        self.told = None

    def say(self, kind, data):
        message = {"type": kind, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "data": data}
        self.connection.sendall((json.dumps(message) + "\n").encode("utf-8"))

    def hear(self):
        received = self.connection.recv(4096).decode("utf-8")
        return json.loads(received.strip())

    def log_in(self, token):
        self.say("auth", {"token": token})
        return self.hear()["type"] == "auth_success"

    def listen(self):
        while not self.heard.is_set():
            message = self.hear()
            if message["type"] in ("broadcast", "progress_broadcast"):
                self.told = message
                self.heard.set()


def main():
    host, port, token, kind, manga, chapter = sys.argv[1:7]
    client = SyncClient(host, int(port))
    if not client.log_in(token):
        sys.exit("the server did not take the token")
    threading.Thread(target=client.listen, daemon=True).start()
    if kind == "progress":
        client.say(kind, {"manga_id": manga, "current_chapter": int(chapter), "status": "reading"})
    else:
        client.say(kind, {"manga_id": int(manga), "chapter": int(chapter), "status": "reading"})
    if not client.heard.wait(timeout=60):
        sys.exit("the broadcast did not come")
    print(json.dumps(client.told["data"]))


main()
