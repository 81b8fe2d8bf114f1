"""gRPC frame by frame, where its own libraries show too little: what the server sends, and when.

It needs the packages of `requirements.txt`. Each scene prints what it saw in one line; some say first that
they are ready, so that a test can cause something meanwhile.

    h2_wire.py HOST PORT SCENE [TOKEN]
"""

import gzip
import socket
import struct
import sys

import hpack
import hyperframe.frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# A series as manga.MangaService is asked for it.
SERIES = b"\x0a\x07berserk"

# A thousand series as mangahub.v1 is asked for them: a long answer.
SEARCH = b"\x40\xe8\x07"

INITIAL_WINDOW, CONCURRENT_STREAMS = 4, 3


class Peer:
    """A connection whose every frame is seen."""

    def __init__(self, host, port, settings=None):
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.unread = b""
        self.acknowledges = True
        self.socket.sendall(PREFACE)
        # The windows of streams are what is looked at; the connection's is never in the way.
        self.send(frames.SettingsFrame(0, settings=settings or {}), frames.WindowUpdateFrame(0, window_increment=1 << 20))

    def send(self, *these):
        self.socket.sendall(b"".join(frame.serialize() for frame in these))

    def take(self, count):
        while len(self.unread) < count:
            some = self.socket.recv(65536)
            if not some:
                return None
            self.unread += some
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def next(self):
        """The next frame, or nothing when the server has closed."""
        head = self.take(9)
        if head is None:
            return None
        frame, length = frames.Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(self.take(length)))
        if self.acknowledges and isinstance(frame, frames.SettingsFrame) and "ACK" not in frame.flags:
            self.send(frames.SettingsFrame(0, flags=["ACK"]))
        if self.acknowledges and isinstance(frame, frames.PingFrame) and "ACK" not in frame.flags:
            self.send(frames.PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        return frame

    def head(self, stream, path, *more, end=False):
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers")]
        kind = [] if any(name == "content-type" for name, _ in more) else [("content-type", "application/grpc")]
        fields += kind + [(name, value) for name, value in more if value is not None]
        flags = ["END_HEADERS"] + (["END_STREAM"] if end else [])
        self.send(frames.HeadersFrame(stream, data=self.encoder.encode(fields), flags=flags))

    def data(self, stream, data, end=True):
        self.send(frames.DataFrame(stream, data=data, flags=["END_STREAM"] if end else []))

    def call(self, stream, path, body, *more):
        self.head(stream, path, *more)
        self.data(stream, body)

    def answers(self, *streams):
        """What came on each stream until all of them ended: heads in one dict, data, and how it ended."""
        seen = {stream: [{}, b"", None] for stream in streams}
        while any(answer[2] is None for answer in seen.values()):
            frame = self.next()
            if frame is None:
                return {stream: [*answer[:2], answer[2] or "closed"] for stream, answer in seen.items()}
            self.note(frame, seen)
        return seen

    def note(self, frame, seen):
        if isinstance(frame, frames.HeadersFrame):
            fields = dict(self.decoder.decode(frame.data))
            if frame.stream_id in seen:
                seen[frame.stream_id][0].update(fields)
        if frame.stream_id not in seen:
            return
        answer = seen[frame.stream_id]
        if isinstance(frame, frames.DataFrame):
            answer[1] += frame.data
        if isinstance(frame, frames.RstStreamFrame):
            answer[2] = answer[2] or f"reset {frame.error_code}"
        elif "END_STREAM" in frame.flags:
            answer[2] = "end"


def message(body, flag=0):
    return struct.pack(">BI", flag, len(body)) + body


def told(answer):
    """Status, code, whether the data are whole messages and how many, and how it ended."""
    head, data, end = answer
    count = 0
    while len(data) >= 5 and len(data) >= 5 + struct.unpack(">I", data[1:5])[0]:
        data = data[5 + struct.unpack(">I", data[1:5])[0]:]
        count += 1
    torn = " and a half" if data else ""
    return f"{head.get(':status')} {head.get('grpc-status')}: {count}{torn}, {end}"


def one(place, path, body, *more, settings=None):
    peer = Peer(*place, settings)
    peer.call(1, path, body, *more)
    return peer.answers(1)[1]


# ---- scenes


def unknown_service(place):
    return told(one(place, "/nobody.Service/Get", message(b"")))


def no_content_type(place):
    peer = Peer(*place)
    peer.head(1, "/manga.MangaService/GetManga", ("content-type", None), end=True)
    return peer.answers(1)[1][0][":status"]


def own_deadline(place):
    return told(one(place, "/manga.MangaService/GetManga", message(SERIES), ("grpc-timeout", "1n")))


def client_trailers(place):
    peer = Peer(*place)
    peer.head(1, "/manga.MangaService/GetManga")
    peer.data(1, message(SERIES), end=False)
    peer.send(frames.HeadersFrame(1, data=peer.encoder.encode([("x-sum", "1")]), flags=["END_HEADERS", "END_STREAM"]))
    return told(peer.answers(1)[1])


def packed(place):
    """Flags on the wire: a packed question is understood, and answered packed unless that can't be read."""
    body = message(gzip.compress(SEARCH), flag=1)
    seen = []
    for accepts in (None, "identity,gzip", "identity"):
        more = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", accepts)]
        head, data, _ = one(place, "/mangahub.v1.CatalogueService/SearchManga", body, *more,
                            settings={INITIAL_WINDOW: 1 << 20})
        text = gzip.decompress(data[5:]) if data[0] == 1 else data[5:]
        seen.append(f"{head.get('grpc-status')} {head.get('grpc-encoding')} {data[0]} {b'Berserk' in text}")
    return ", ".join(seen)


def reflection_v1(place):
    head, data, _ = one(place, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", message(b"\x3a\x00"))
    return f"{head['grpc-status']} {b'pb.MangaService' in data}"


def too_many_streams(place):
    peer = Peer(*place)
    offered = None
    while offered is None:
        frame = peer.next()
        if isinstance(frame, frames.SettingsFrame) and CONCURRENT_STREAMS in frame.settings:
            offered = frame.settings[CONCURRENT_STREAMS]
    for number in range(offered + 1):
        peer.head(1 + 2 * number, "/manga.MangaService/GetManga")
    last = peer.answers(1 + 2 * offered)[1 + 2 * offered]
    return f"{offered}: {last[2]}"


def too_many_connections(place):
    first = Peer(*place)
    first.call(1, "/manga.MangaService/GetManga", message(SERIES))
    served = told(first.answers(1)[1])
    second = Peer(*place)
    while not isinstance(frame := second.next(), frames.GoAwayFrame):
        pass
    return f"{served}; {frame.error_code} {frame.additional_data.decode()}"


def keepalive(place):
    """One that answers pings stays, one that does not is closed."""
    alive, dead = Peer(*place), Peer(*place)
    dead.acknowledges = False
    pings = 0
    while pings < 2:
        pings += isinstance(alive.next(), frames.PingFrame)
    while dead.next() is not None:
        pass
    alive.call(1, "/manga.MangaService/GetManga", message(SERIES))
    return told(alive.answers(1)[1])


def closed_window(place):
    """Who takes nothing of an answer is not waited for longer than it said."""
    body, more = message(SERIES), ("grpc-timeout", "300m")
    return told(one(place, "/manga.MangaService/GetManga", body, more, settings={INITIAL_WINDOW: 0}))


def narrow_window(place):
    """Who takes little at a time gets everything."""
    peer = Peer(*place, {INITIAL_WINDOW: 10})
    peer.call(1, "/manga.MangaService/GetManga", message(SERIES))
    seen = {1: [{}, b"", None]}
    while seen[1][2] is None:
        frame = peer.next()
        peer.note(frame, seen)
        if isinstance(frame, frames.DataFrame) and frame.data and "END_STREAM" not in frame.flags:
            peer.send(frames.WindowUpdateFrame(1, window_increment=len(frame.data)))
    return told(seen[1])


def torn(place):
    """A long answer that stays half unread is reset: trailers would be read as part of it."""
    # Time enough to find a thousand series on a busy machine.
    more = ("grpc-timeout", "5S")
    return told(one(place, "/mangahub.v1.CatalogueService/SearchManga", message(SEARCH), more))


def slow_stream(place, token):
    """Who reads nothing of a stream is told so, behind whole messages."""
    peer = Peer(*place, {INITIAL_WINDOW: 1000})
    peer.call(1, "/mangahub.v1.ProgressService/WatchProgress", message(b""), ("authorization", f"Bearer {token}"))
    seen = {1: [{}, b"", None]}
    while not seen[1][0]:
        peer.note(peer.next(), seen)
    print("ready", flush=True)
    while seen[1][2] is None:
        peer.note(peer.next(), seen)
    head, data, end = seen[1]
    return f"{told(seen[1]).split(':')[0]}: {'torn' if 'half' in told(seen[1]) else 'whole'}, {len(data) > 0}, {end}"


def refused_stream(place):
    """A stream that is refused has no answer but how it ended: one head."""
    peer = Peer(*place)
    peer.call(1, "/mangahub.v1.ProgressService/WatchProgress", message(b""), ("authorization", "Bearer nobody"))
    heads = 0
    while True:
        frame = peer.next()
        if isinstance(frame, frames.HeadersFrame):
            heads += 1
            fields = dict(peer.decoder.decode(frame.data))
        if frame.stream_id == 1 and "END_STREAM" in frame.flags:
            return f"{heads}: {fields[':status']} {fields['grpc-status']}"


def hoard(place):
    """Messages of which the end never comes: long ones stop being taken, short ones do not."""
    peer = Peer(*place)
    long = b"\0" * 16384
    for number in range(5):
        stream = 1 + 2 * number
        peer.head(stream, "/manga.MangaService/SearchManga")
        peer.data(stream, struct.pack(">BI", 0, 4 << 20), end=False)
        # As fast as the server makes room.
        window, left = 65536 - 5, 4 << 20
        while left:
            if window < len(long):
                frame = peer.next()
                if isinstance(frame, frames.WindowUpdateFrame) and frame.stream_id == stream:
                    window += frame.window_increment
                if isinstance(frame, frames.HeadersFrame):
                    fields = dict(peer.decoder.decode(frame.data))
                    peer.call(101, "/manga.MangaService/GetManga", message(SERIES))
                    return f"{number}: {fields['grpc-status']}; {told(peer.answers(101)[101])}"
                continue
            peer.data(stream, long, end=False)
            window, left = window - len(long), left - len(long)
    return "it took everything"


def drain(place):
    """Calls that run when the server begins to drain are answered; it says that it is going."""
    peer = Peer(*place)
    peer.head(1, "/manga.MangaService/GetManga")
    peer.data(1, message(SERIES)[:7], end=False)
    peer.head(3, "/grpc.health.v1.Health/Check")
    peer.data(3, message(b"")[:2], end=False)
    peer.head(5, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    # What comes behind the answer to a ping has been read.
    peer.send(frames.PingFrame(0, opaque_data=b"are-you?"))
    seen = {1: [{}, b"", None], 3: [{}, b"", None], 5: [{}, b"", None]}
    while not isinstance(frame := peer.next(), frames.PingFrame):
        peer.note(frame, seen)
    print("ready", flush=True)
    goodbyes = 0
    while frame is not None:
        frame = peer.next()
        if isinstance(frame, frames.GoAwayFrame):
            goodbyes += 1
            if goodbyes == 1:
                peer.data(1, message(SERIES)[7:])
                peer.data(3, message(b"")[2:])
        elif frame is not None:
            peer.note(frame, seen)
    health = seen[3][1][5:].hex()
    return f"goaway {goodbyes > 0}; {told(seen[1])}; {told(seen[3])} {health}; {seen[5][0]['grpc-status']}"


def main():
    host, port, scene, *more = sys.argv[1:]
    print(globals()[scene]((host, port), *more), flush=True)


main()
