"""A listener to notifications as people write them by hand: a socket, a token, a loop.

It registers in the dialect that it is told, acknowledges what it hears, and ends with its first
notification. The test runs it against a server to show that such a client works.
"""

import json
import socket
import sys


def main():
    host, port, dialect, token = sys.argv[1:5]
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.settimeout(60)
    listener.connect((host, int(port)))

    def say(message):
        listener.send(json.dumps(message).encode("utf-8"))

    def hear():
        return json.loads(listener.recv(8192).decode("utf-8"))

    if dialect == "v1":
        say({"type": "register", "data": {"client_id": "script", "token": token, "ack": True}})
        welcome = "register_success"
    else:
        say({"type": "SUBSCRIBE", "token": token, "ack": True})
        welcome = "SUBSCRIBE"
    if hear()["type"] != welcome:
        sys.exit("the server did not take the token")
    told = hear()
    number = told["data"]["id"] if dialect == "v1" else told["id"]
    say({"type": "ack", "data": {"id": number}} if dialect == "v1" else {"type": "ACK", "id": number})
    print(json.dumps(told))


main()
