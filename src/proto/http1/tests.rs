//! Every case runs whole, byte by byte, and with another request behind it; properties run on top.

use proptest::prelude::*;

use super::*;

/// A request that owns what it says, to compare after the buffer has moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    path: String,
    query: Option<String>,
    host: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Seen {
    fn of(request: &Request<'_>) -> Self {
        Self {
            method: request.method_name.into(),
            target: request.target.into(),
            path: request.path.into(),
            query: request.query.map(Into::into),
            host: request.host.into(),
            fields: request.headers.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            body: request.body.into(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Saw {
    NeedMore,
    Continue,
    Request(Seen),
    Closed,
    Error(HttpError),
}

/// A codec with its buffer.
struct Peer {
    http: Http1,
    rx: RecvBuf,
}

impl Peer {
    fn new() -> Self {
        Self::with(HttpLimits::default())
    }

    fn with(limits: HttpLimits) -> Self {
        Self { http: Http1::new(Arc::new(limits)), rx: RecvBuf::new() }
    }

    fn decode(&mut self, eof: bool) -> Saw {
        match self.http.decode(&mut self.rx, eof) {
            Ok(Decoded::NeedMore) => Saw::NeedMore,
            Ok(Decoded::Continue) => Saw::Continue,
            Ok(Decoded::Closed) => Saw::Closed,
            Ok(Decoded::Request(request)) => Saw::Request(Seen::of(&request)),
            Err(error) => Saw::Error(error),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Saw {
        self.rx.append(bytes);
        self.decode(false)
    }

    /// Like `receive`, for a caller that has sent any 100 that was due.
    fn receive_invited(&mut self, bytes: &[u8]) -> Saw {
        match self.receive(bytes) {
            Saw::Continue => self.decode(false),
            saw => saw,
        }
    }

    fn finish(&mut self) {
        self.http.finish(&mut self.rx);
    }

    fn reply(&mut self, response: &Response) -> (String, bool) {
        let mut out = Vec::new();
        let stays_open = self.http.encode(response, DATE, &mut out);
        (String::from_utf8(out).expect("ASCII replies"), stays_open)
    }

    fn held_bytes(&self) -> usize {
        match &self.http.state {
            State::Chunked(collected) => self.rx.len() + collected.wire.len() + collected.body.bytes().len(),
            _ => self.rx.len(),
        }
    }
}

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n";

/// What a good request is expected to say: method, target, path, query, host, body.
type Expected = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str, &'static [u8]);

const GOOD: &[(&[u8], Expected)] = &[
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/", "/", None, "a", b"")),
    (b"GET /m?q=1?2 HTTP/1.1\r\nhOsT:\t a:80 \r\n\r\n", ("GET", "/m?q=1?2", "/m", Some("q=1?2"), "a:80", b"")),
    (b"GET /? HTTP/1.1\r\nHost: [::1]:9\r\n\r\n", ("GET", "/?", "/", Some(""), "[::1]:9", b"")),
    (b"\r\n\r\nHEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", ("HEAD", "/x", "/x", None, "a", b"")),
    (b"GET /old HTTP/1.0\r\n\r\n", ("GET", "/old", "/old", None, "", b"")),
    (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ("OPTIONS", "*", "*", None, "a", b"")),
    (b"GET http://B:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "http://B:1/p?q", "/p", Some("q"), "B:1", b"")),
    (b"GET HTTPS://b?q HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "HTTPS://b?q", "/", Some("q"), "b", b"")),
    (b"BREW /%E3%83%8A HTTP/1.1\r\nHost: a\r\n\r\n", ("BREW", "/%E3%83%8A", "/%E3%83%8A", None, "a", b"")),
    ("GET /ナ?ル HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes(), ("GET", "/ナ?ル", "/ナ", Some("ル"), "a", b"")),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", ("POST", "/", "/", None, "a", b"abc")),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\n\r\n\n", ("POST", "/", "/", None, "a", b"\r\n\n")),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", ("GET", "/", "/", None, "a", b"")),
    (b"PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx", ("PUT", "/", "/", None, "", b"x")),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
        ("POST", "/", "/", None, "a", b"abc0123456789"),
    ),
    (
        b"POST /t HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n002 ;e\r\n\r\n\r\n00\r\nTrailer: 1\r\nOther:\r\n\r\n",
        ("POST", "/t", "/t", None, "a", b"\r\n"),
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ("POST", "/", "/", None, "a", b"")),
];

/// Good requests mean what they say, and leave the bytes that follow alone, however they arrive.
#[test]
fn good_requests_are_read_whole_byte_by_byte_and_with_a_request_behind() {
    for (wire, expected) in GOOD {
        let shown = wire.escape_ascii().to_string();
        let mut whole = Peer::new();
        let saw = whole.receive_invited(wire);
        let Saw::Request(seen) = saw.clone() else { panic!("{saw:?} for {shown}") };
        let said = (&*seen.method, &*seen.target, &*seen.path, seen.query.as_deref(), &*seen.host, &*seen.body);
        assert_eq!(said, *expected, "{shown}");
        assert_eq!(whole.decode(false), saw, "a second look sees the same: {shown}");
        whole.finish();
        assert!(whole.rx.is_empty(), "{shown}");
        assert_eq!(whole.decode(true), Saw::Closed, "{shown}");

        let mut dripped = Peer::new();
        let (last, before) = wire.split_last().expect("no case is empty");
        for byte in before {
            assert_eq!(dripped.receive_invited(&[*byte]), Saw::NeedMore, "{shown}");
        }
        assert_eq!(dripped.receive_invited(&[*last]), saw, "{shown}");

        let mut followed = Peer::new();
        assert_eq!(followed.receive_invited(&[wire, NEXT].concat()), saw, "{shown}");
        followed.finish();
        assert_eq!(followed.rx.data(), NEXT, "{shown}");
        let Saw::Request(next) = followed.decode(true) else { panic!("the next request is lost: {shown}") };
        assert_eq!((next.target.as_str(), next.host.as_str()), ("/next", "next"), "{shown}");
    }
}

/// A request that was read only in part when the client left is an error that nobody is told of.
#[test]
fn an_end_inside_a_request_is_truncation_and_between_requests_is_not() {
    for (wire, _) in GOOD {
        let begins = wire.iter().position(|byte| !b"\r\n".contains(byte)).expect("every case has a method");
        for cut in begins + 1..wire.len() {
            let mut peer = Peer::new();
            peer.receive_invited(&wire[..cut]);
            let Saw::Error(error) = peer.decode(true) else { panic!("cut at {cut}: {}", wire.escape_ascii()) };
            assert!(error.truncated);
            assert_eq!(peer.decode(true), Saw::Closed);
        }
    }
    for quiet in [&b""[..], b"\r\n", b"\r\n\r\n"] {
        let mut peer = Peer::new();
        assert_eq!(peer.receive(quiet), Saw::NeedMore);
        assert_eq!(peer.decode(true), Saw::Closed);
    }
}

const BAD: &[(u16, &[u8])] = &[
    // Line ends.
    (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    (400, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    // Request lines.
    (400, b"\x16\x03\x01\x02\x00\x01"),
    (400, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    (400, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /\r\n\r\n"),
    (400, b"GET\r\n\r\n"),
    (400, b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/11\r\nHost: a\r\n\r\n"),
    (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    (505, b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\n"),
    // Targets.
    (400, b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /\x07 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    // Fields.
    (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[2J\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"),
    // Host.
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    (400, b"GET http://a/ HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: [a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"),
    (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    // Expectations.
    (417, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"),
    (417, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue, tea\r\n\r\n"),
    // Limits.
    (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n"),
    (413, b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n"),
    (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999999999\r\n\r\n"),
    (413, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n"),
    (413, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nffffffffffffffff\r\n"),
];

/// Messages by which a proxy and a server have been brought to disagree about where a request ends.
const SMUGGLED: &[(u16, &[u8])] = &[
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nG"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 3\r\n\r\nabc"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n x: y\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
];

/// Checks that `wire` is refused with `status`, in the same words however it arrives, and that
/// nothing is read afterwards.
fn assert_refused(status: u16, wire: &[u8]) {
    let shown = wire[..wire.len().min(200)].escape_ascii().to_string();
    let mut whole = Peer::new();
    let saw = whole.receive_invited(wire);
    let Saw::Error(error) = saw else { panic!("no error for {shown}") };
    assert_eq!((error.status, error.truncated), (status, false), "{shown}");
    assert_eq!(whole.receive(NEXT), Saw::Closed, "{shown}");

    let mut dripped = Peer::new();
    let late = wire.iter().map(|byte| dripped.receive_invited(&[*byte])).find(|saw| *saw != Saw::NeedMore);
    let Some(Saw::Error(late)) = late else { panic!("{late:?} for {shown}, byte by byte") };
    assert_eq!((late.status, late.what), (error.status, error.what), "{shown}");

    let followed = Peer::new().receive_invited(&[wire, NEXT].concat());
    let Saw::Error(followed) = followed else { panic!("{followed:?} for {shown}, with a request behind") };
    assert_eq!((followed.status, followed.what), (error.status, error.what), "{shown}");
}

/// Every malformed request has its status, and the connection reads nothing after it.
#[test]
fn bad_requests_are_refused_with_their_status() {
    for (status, wire) in BAD {
        assert_refused(*status, wire);
    }
}

/// No message with two readings is read at all.
#[test]
fn smuggling_is_refused() {
    for (status, wire) in SMUGGLED {
        assert_refused(*status, wire);
    }
}

/// Limits hold at their exact byte: what just fits is served, one byte more is refused.
#[test]
fn limits_hold_to_the_byte() {
    let limits = HttpLimits::default();
    let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 16)).into_bytes();
    assert!(matches!(Peer::new().receive(&line(limits.line_bytes_max)), Saw::Request(_)));
    assert_refused(414, &line(limits.line_bytes_max + 1));
    assert_refused(414, &vec![b'x'; limits.line_bytes_max + 1]);

    let head =
        |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes - 32)).into_bytes();
    assert!(matches!(Peer::new().receive(&head(limits.head_bytes_max)), Saw::Request(_)));
    assert_refused(431, &head(limits.head_bytes_max + 1));
    assert_refused(431, &head(limits.head_bytes_max + 1)[..limits.head_bytes_max + 1]);

    let fields =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1)).into_bytes();
    assert!(matches!(Peer::new().receive(&fields(limits.fields_max)), Saw::Request(_)));
    assert_refused(431, &fields(limits.fields_max + 1));
}

/// A body may be as large as the limit, sized or chunked, and a chunked one is read in linear time.
#[test]
fn bodies_up_to_the_limit_are_read() {
    let body = vec![b'b'; HttpLimits::default().body_bytes_max];
    let mut sized = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    sized.extend_from_slice(&body);
    let Saw::Request(seen) = Peer::new().receive(&sized) else { panic!("the sized body is lost") };
    assert_eq!(seen.body, body);

    let mut peer = Peer::new();
    peer.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for byte in &body {
        assert_eq!(peer.receive(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']), Saw::NeedMore);
    }
    let Saw::Request(seen) = peer.receive(b"0\r\n\r\n") else { panic!("the chunked body is lost") };
    assert_eq!(seen.body, body);
}

/// Extensions and trailers are dropped, but not for ever.
#[test]
fn extensions_and_trailers_are_bounded() {
    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = "1;".to_owned() + &"e".repeat(200) + "\r\nx\r\n";
    assert_refused(431, (HEAD.to_owned() + &extension.repeat(90)).as_bytes());
    assert_refused(400, (HEAD.to_owned() + "1;" + &"e".repeat(300)).as_bytes());
    assert_refused(431, (HEAD.to_owned() + "0\r\n" + &"X: y\r\n".repeat(3000)).as_bytes());
    assert_refused(431, (HEAD.to_owned() + "0\r\nX: " + &"y".repeat(20_000)).as_bytes());
}

/// The path of a refused request is known as soon as its line is, for the shape of the answer.
#[test]
fn errors_name_the_path_when_there_is_one() {
    let cases: &[(&[u8], Option<&str>)] = &[
        (b"GET /api/v1/x?y HTTP/1.1\r\nBad\n", Some("/api/v1/x")),
        (b"GET /a HTTP/9.9\r\n\r\n", Some("/a")),
        (b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Some("/c")),
        (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", None),
        (b"\x16", None),
        (b"nonsense\n", None),
    ];
    for (wire, path) in cases {
        let Saw::Error(error) = Peer::new().receive(wire) else { panic!("{}", wire.escape_ascii()) };
        assert_eq!(error.path.as_deref(), *path, "{}", wire.escape_ascii());
    }
}

/// The invitation comes once, only when the client waits for it, and never for a body we would refuse.
#[test]
fn continue_is_sent_once_and_only_to_those_who_wait() {
    const SIZED: &[u8] = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    const CHUNKED: &[u8] = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    for (head, body) in [(SIZED, &b"ab"[..]), (CHUNKED, b"2\r\nab\r\n0\r\n\r\n")] {
        let mut waiting = Peer::new();
        assert_eq!(waiting.receive(head), Saw::Continue);
        assert_eq!(waiting.decode(false), Saw::NeedMore);
        assert_eq!(waiting.receive(&body[..1]), Saw::NeedMore);
        assert!(matches!(waiting.receive(&body[1..]), Saw::Request(seen) if seen.body == b"ab"));

        let mut eager = Peer::new();
        assert_eq!(eager.receive(&[head, &body[..1]].concat()), Saw::NeedMore);
        assert!(matches!(eager.receive(&body[1..]), Saw::Request(seen) if seen.body == b"ab"));
    }
    let mut nothing_to_send = Peer::new();
    let wire = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n";
    assert!(matches!(nothing_to_send.receive(wire), Saw::Request(_)));
}

/// The owner can tell which deadline applies at every point of a request's life.
#[test]
fn the_phase_follows_the_bytes() {
    let mut peer = Peer::new();
    let mut phases = Vec::new();
    for part in [&b""[..], b"\r\n", b"P", b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", b"a", b"b"] {
        peer.receive(part);
        phases.push(peer.http.phase(&peer.rx));
    }
    assert_eq!(phases, [Phase::Idle, Phase::Idle, Phase::Head, Phase::Body, Phase::Body, Phase::Body]);
    peer.finish();
    assert_eq!(peer.http.phase(&peer.rx), Phase::Idle);
}

/// A burst of small requests far beyond any single limit is read one by one.
#[test]
fn pipelining_is_not_an_oversized_request() {
    let mut peer = Peer::new();
    peer.rx.append(&NEXT.repeat(5000));
    for _ in 0..5000 {
        assert!(matches!(peer.decode(false), Saw::Request(seen) if seen.path == "/next"));
        assert!(peer.reply(&Response::empty(204)).1);
        peer.finish();
    }
    assert_eq!(peer.decode(true), Saw::Closed);
}

/// Whether a connection stays open follows version, Connection field and the reply's own wish.
#[test]
fn connections_stay_open_as_both_sides_wish() {
    let cases: &[(&str, &str, bool, &str)] = &[
        ("1.1", "", true, ""),
        ("1.1", "Connection: close\r\n", false, "Connection: close\r\n"),
        ("1.1", "Connection: x , CLOSE\r\n", false, "Connection: close\r\n"),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false, "Connection: close\r\n"),
        ("1.0", "", false, "Connection: close\r\n"),
        ("1.0", "Connection: Keep-Alive\r\n", true, "Connection: keep-alive\r\n"),
    ];
    for (version, field, open, said) in cases {
        let mut peer = Peer::new();
        peer.receive(format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n").as_bytes());
        let (reply, stays_open) = peer.reply(&Response::text(200, "hi"));
        peer.finish();
        assert_eq!(stays_open, *open, "{version} {field}");
        let rest = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n{said}\r\nhi");
        assert_eq!(reply, format!("HTTP/1.1 200 OK\r\nDate: {DATE}\r\n{rest}"), "{version} {field}");
        let after = peer.receive(NEXT);
        assert_eq!(after == Saw::Closed, !open, "{after:?}");
    }
    let mut peer = Peer::new();
    peer.receive(NEXT);
    assert!(!peer.reply(&Response::empty(200).closing()).1);
}

/// HEAD gets the head GET would get; 204, 304 and 101 have neither body nor length; errors close.
#[test]
fn replies_are_framed_by_method_and_status() {
    let mut peer = Peer::new();
    peer.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (reply, stays_open) = peer.reply(&Response::json(200, "{}"));
    assert!(stays_open && reply.contains("Content-Length: 2\r\n") && reply.ends_with("\r\n\r\n"), "{reply}");

    for status in [101, 204, 304] {
        let mut peer = Peer::new();
        peer.receive(NEXT);
        let (reply, _) = peer.reply(&Response::text(status, "none of this"));
        assert!(!reply.contains("Content-") && reply.ends_with("\r\n\r\n"), "{reply}");
    }

    let mut peer = Peer::new();
    peer.receive(b"GET / HTTP/1.1\r\n\r\n");
    let mut out = Vec::new();
    peer.http.encode_error(&Response::empty(400), DATE, &mut out);
    let expected =
        format!("HTTP/1.1 400 Bad Request\r\nDate: {DATE}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(String::from_utf8(out), Ok(expected));
}

/// A value made from input cannot end its line, nor a status without a phrase break the first one.
#[test]
fn field_values_cannot_add_lines() {
    let mut peer = Peer::new();
    peer.receive(NEXT);
    let response = Response::empty(299).with_header("Location", "/a\r\nSet-Cookie: b\0".to_owned());
    let (reply, _) = peer.reply(&response);
    assert!(reply.starts_with("HTTP/1.1 299 \r\n"), "{reply}");
    assert!(reply.contains("Location: /a  Set-Cookie: b \r\n"), "{reply}");
}

/// Path, query, token and fields are decoded as handlers expect.
#[test]
fn requests_decode_their_parts() {
    let mut peer = Peer::new();
    peer.rx.append(b"GET /a%2Fb/%E3%83%8A//c+d%/?q=x+y%26z&e&q=2 HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: bEARER  aB-._~+/1==\r\nX-Device: phone\r\nX-Raw: \xff\r\n\r\n");
    let Ok(Decoded::Request(request)) = peer.http.decode(&mut peer.rx, false) else { panic!("not read") };
    assert_eq!(request.segments().expect("valid text").to_vec(), ["a/b", "ナ", "", "c+d%", ""]);
    let pairs: Vec<_> = request.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["q=x y&z", "e=", "q=2"]);
    assert_eq!(request.bearer(), Some("aB-._~+/1=="));
    assert_eq!(request.header("x-device"), Some("phone"));
    assert_eq!((request.header("x-raw"), request.has_header("x-raw")), (None, true));
    assert_eq!((request.header("x-none"), request.has_header("x-none")), (None, false));
    assert_eq!((request.method, request.version), (Method::Get, Version::Http11));
}

/// Segments that are no text are the client's mistake; the connection goes on.
#[test]
fn undecodable_segments_are_errors() {
    for path in ["/%ff", "/a/%00", "/%c3%28"] {
        let mut peer = Peer::new();
        peer.rx.append(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let Ok(Decoded::Request(request)) = peer.http.decode(&mut peer.rx, false) else { panic!("not read") };
        let error = request.segments().expect_err(path);
        assert_eq!((error.status, error.path.as_deref()), (400, Some(path)));
        assert!(peer.reply(&Response::empty(400)).1);
    }
}

/// Only one well-formed bearer token counts.
#[test]
fn other_credentials_are_no_bearer_token() {
    let cases = ["Basic YTpi", "Bearer", "Bearer ", "Bearer =", "Bearer a b", "Bearer a\"b", "Bearera"];
    let repeated = "Bearer a\r\nAuthorization: Bearer b";
    for value in cases.into_iter().chain([repeated]) {
        let mut peer = Peer::new();
        peer.rx.append(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {value}\r\n\r\n").as_bytes());
        let Ok(Decoded::Request(request)) = peer.http.decode(&mut peer.rx, false) else { panic!("not read") };
        assert_eq!(request.bearer(), None, "{value}");
    }
}

/// An idle connection's codec is small: there may be twenty thousand of them.
#[test]
fn the_codec_is_small() {
    assert!(size_of::<Http1>() <= 128, "{}", size_of::<Http1>());
}

/// A request to be written down: method, path, fields, body, and how the body is cut, if chunked.
#[derive(Debug, Clone)]
struct Sketch {
    method: &'static str,
    path: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    chunk_bytes: Option<usize>,
}

impl Sketch {
    fn wire(&self) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\nHost: a\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.fields {
            wire.extend_from_slice(format!("X-{name}: {value}\r\n").as_bytes());
        }
        match self.chunk_bytes {
            None => {
                wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
                wire.extend_from_slice(&self.body);
            }
            Some(chunk_bytes) => {
                wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(chunk_bytes) {
                    wire.extend_from_slice(format!("{:x};n\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(b"0\r\nX-Trailer: t\r\n\r\n");
            }
        }
        wire
    }

    fn is_told_by(&self, seen: &Seen) -> bool {
        let fields = seen.fields.iter().filter_map(|(name, value)| Some((name.strip_prefix("X-")?, &value[..])));
        let written = self.fields.iter().map(|(name, value)| (&**name, value.as_bytes()));
        seen.method == self.method && seen.target == self.path && seen.body == self.body && fields.eq(written)
    }
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let sketch = (
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "BREW"]),
        "/[a-z0-9/%._~-]{0,20}(\\?[a-z=&+]{0,10})?",
        prop::collection::vec(("[a-zA-Z0-9-]{1,8}", "([!-~]([ -~]{0,12}[!-~])?)?"), 0..4),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::option::of(1_usize..80),
    )
        .prop_map(|(method, path, fields, body, chunk_bytes)| Sketch { method, path, fields, body, chunk_bytes });
    prop::collection::vec(sketch, 1..5)
}

/// Reads a stream given in pieces to its end.
fn read_all(pieces: &[&[u8]]) -> Vec<Saw> {
    let (mut peer, mut all) = (Peer::new(), Vec::new());
    for (index, piece) in pieces.iter().enumerate() {
        peer.rx.append(piece);
        loop {
            let saw = peer.decode(index + 1 == pieces.len());
            match saw {
                Saw::NeedMore => break,
                Saw::Continue => continue,
                Saw::Request(_) => all.push(saw),
                Saw::Closed | Saw::Error(_) => {
                    all.push(saw);
                    return all;
                }
            }
            peer.reply(&Response::empty(204));
            peer.finish();
        }
    }
    all
}

/// Cuts `wire` at these places.
fn cut<'a>(wire: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(wire.len() + 1)).collect();
    ends.push(wire.len());
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.clone());
    starts.zip(&ends).map(|(start, &end)| &wire[start..end]).collect()
}

proptest! {
    /// What is written is what is read, in order, for any pipelined stream in any pieces.
    #[test]
    fn any_split_of_a_stream_reads_the_same(
        sketches in sketches(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let wire: Vec<u8> = sketches.iter().flat_map(Sketch::wire).collect();
        let all = read_all(&cut(&wire, &places));
        prop_assert_eq!(all.len(), sketches.len() + 1);
        prop_assert_eq!(all.last(), Some(&Saw::Closed));
        for (sketch, saw) in sketches.iter().zip(&all) {
            prop_assert!(matches!(saw, Saw::Request(seen) if sketch.is_told_by(seen)), "{:?} read as {:?}", sketch, saw);
        }
    }

    /// A valid stream with some bytes damaged never panics, and whatever is made of it is made of it
    /// in any pieces.
    #[test]
    fn damage_is_read_the_same_in_any_pieces(
        sketches in sketches(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\r\n :;,0aF\0\xff/".to_vec())), 1..4),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut wire: Vec<u8> = sketches.iter().flat_map(Sketch::wire).collect();
        for (place, byte) in damage {
            let place = place.index(wire.len());
            wire[place] = byte;
        }
        // Early and late readers may be refused for different mistakes, or truncated, but both are refused.
        let simplified = |all: Vec<Saw>| all.into_iter().map(|saw| match saw {
            Saw::Error(_) => Saw::NeedMore,
            other => other,
        }).collect::<Vec<_>>();
        prop_assert_eq!(simplified(read_all(&[&wire])), simplified(read_all(&cut(&wire, &places))));
    }

    /// Arbitrary bytes never panic and never make the connection hold more than its limits.
    #[test]
    fn arbitrary_bytes_are_harmless(
        start in prop::sample::select(vec![
            &b""[..], b"GET ", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ",
        ]),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..20),
    ) {
        let limits = HttpLimits { head_bytes_max: 200, line_bytes_max: 100, fields_max: 4, body_bytes_max: 100 };
        let held_bytes_max = limits.head_bytes_max + limits.body_bytes_max + SLACK_BYTES;
        let mut peer = Peer::with(limits);
        peer.rx.append(start);
        for piece in pieces {
            let saw = peer.receive(&piece);
            if matches!(saw, Saw::Error(_) | Saw::Closed) {
                break;
            }
            if matches!(saw, Saw::Request(_)) {
                peer.finish();
            }
            prop_assert!(peer.held_bytes() <= held_bytes_max);
        }
    }

    /// Every reply is one an independent parser reads back as it was meant.
    #[test]
    fn replies_read_back(status in 200_u16..600, body in prop::collection::vec(any::<u8>(), 0..100), value in "\\PC{0,20}") {
        let mut peer = Peer::new();
        peer.receive(NEXT);
        let mut out = Vec::new();
        peer.http.encode(&Response::json(status, body.clone()).with_header("X-Value", value.clone()), DATE, &mut out);
        let mut slots = [httparse::EMPTY_HEADER; 8];
        let mut parsed = httparse::Response::new(&mut slots);
        let Ok(httparse::Status::Complete(head_bytes)) = parsed.parse(&out) else { panic!("unreadable") };
        prop_assert_eq!(parsed.code, Some(status));
        let find = |name| parsed.headers.iter().find(|header| header.name == name).map(|header| header.value);
        prop_assert_eq!(find("X-Value"), Some(value.trim_matches(' ').as_bytes()));
        let length = body.len().to_string();
        let expected = if matches!(status, 204 | 304) { (None, &[][..]) } else { (Some(length.as_bytes()), &body[..]) };
        prop_assert_eq!((find("Content-Length"), &out[head_bytes..]), expected);
    }
}

/// What may lie in the buffer beside a message: one piece of the test's input and a size line.
const SLACK_BYTES: usize = 400;
