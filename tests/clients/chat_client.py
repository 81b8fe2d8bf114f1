"""Python's `websockets`: joins a room, says a line, and prints everything that it hears until it hears
that line itself.

    chat_client.py ws://HOST:PORT/ws TOKEN ROOM TEXT
"""

import json
import sys

from websockets.sync.client import connect


def main(url, token, room, text):
    heard = []
    with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        socket.send(json.dumps({"type": "join", "room": room}))
        said = False
        while True:
            message = json.loads(socket.recv(timeout=60))
            heard.append(message)
            if message["type"] == "presence" and not said:
                # Everything of the past comes before this, so nothing is missed.
                socket.send(json.dumps({"type": "chat", "content": text}))
                said = True
            if message["type"] == "chat" and message["content"] == text:
                break
        # A round of the library's own: a ping of the protocol and its pong.
        assert socket.ping().wait(30), "no pong came"
    assert socket.protocol.close_code == 1000, socket.protocol.close_code
    print(json.dumps(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
