"""A gRPC stream on plain HTTP/2 whose reader takes no more than its window, ever.

It says `open` when the stream has begun, and at its end the status, how many whole messages came and how
many bytes of another one. It needs the packages of `requirements.txt`.

    h2_stream.py HOST PORT METHOD TOKEN WINDOW
"""

import socket
import struct
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings


def whole_messages(data):
    """How many messages there are, and how many bytes of one more."""
    count = 0
    while len(data) >= 5 and len(data) >= 5 + struct.unpack(">I", data[1:5])[0]:
        data = data[5 + struct.unpack(">I", data[1:5])[0] :]
        count += 1
    return count, len(data)


def main():
    host, port, method, token, window = sys.argv[1:]
    conn = h2.connection.H2Connection()
    first = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: int(window)}
    conn.local_settings = h2.settings.Settings(client=True, initial_values=first)
    conn.initiate_connection()
    conn.send_headers(1, [
        (":method", "POST"), (":scheme", "http"), (":path", "/" + method), (":authority", host),
        ("content-type", "application/grpc"), ("te", "trailers"), ("authorization", f"Bearer {token}"),
    ])
    conn.send_data(1, b"\x00" * 5, end_stream=True)
    received = b""
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        peer.sendall(conn.data_to_send())
        while data := peer.recv(65536):
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    print("open", flush=True)
                elif isinstance(event, h2.events.DataReceived):
                    received += event.data
                elif isinstance(event, h2.events.TrailersReceived):
                    count, rest = whole_messages(received)
                    return print(dict(event.headers)[b"grpc-status"].decode(), count, rest)
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    return print("reset")
            peer.sendall(conn.data_to_send())
    print("closed")


main()
