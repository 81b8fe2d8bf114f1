//! HTTP/1.1 over real sockets: what connections keep, what they refuse, and in which shape they say so.

mod common;

use common::http::request;
use common::{PASSWORD, TestServer};
use serde_json::{Value, json};

// ---- keeping a connection

/// Requests that arrive in one segment are answered in their order, whichever thread each one needs,
/// and the connection stays.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    server.register("alice");
    let login = json!({"username": "alice", "password": PASSWORD}).to_string();
    let mut http = server.http();
    let mut bytes = Vec::new();
    for _ in 0..5 {
        bytes.extend(request("POST", "/api/v1/auth/login", &[], login.as_bytes()));
        bytes.extend(request("GET", "/api/v1/manga/akira", &[], b""));
        bytes.extend(request("GET", "/api/v1/manga?limit=1", &[], b""));
        bytes.extend(request("HEAD", "/api/v1/manga/akira", &[], b""));
        bytes.extend(request("GET", "/nothing", &[], b""));
        bytes.extend(request("POST", "/api/v1/auth/login", &[], b"{"));
    }
    http.send(&bytes);
    for _ in 0..5 {
        assert!(http.reply().data(200)["token"].is_string());
        let detail = http.reply();
        assert_eq!(detail.data(200)["manga"]["id"], "akira");
        assert_eq!(http.reply().json()["meta"]["count"], 1);
        let head = http.reply_head();
        assert_eq!((head.status, head.header("content-length")), (200, detail.header("content-length")));
        http.reply().refused(404, "NOT_FOUND");
        http.reply().refused(400, "INVALID_JSON");
    }
    http.get("/health", None);
}

/// A client that pipelines more than it reads is read no further, in the middle of a request too. That
/// is not its fault: however long it takes for the answers, the rest of the request is then waited for.
#[test]
fn a_paused_request_is_not_overdue() {
    const REQUESTS: usize = 400;
    // A quarter of what a connection may be owed.
    const PAUSED_FROM: u64 = 256 << 10;
    // What the kernel holds of the answers is read within this.
    let server = TestServer::with(|config| config.http.head_timeout_ms = 2000);
    let mut http = server.http();
    let whole = request("GET", "/api/v1/manga/all", &[], b"");
    let (start, end) = whole.split_at(20);
    let mut bytes = whole.repeat(REQUESTS);
    bytes.extend(start);
    http.send(&bytes);
    let mut turns = std::iter::repeat_with(|| server.varz());
    let owes_much = |varz: &Value| varz["held_bytes"]["send"].as_u64() >= Some(PAUSED_FROM);
    let paused = common::await_true("the server to read no further", || turns.next().filter(owes_much));
    let later = paused["uptime_seconds"].as_u64().unwrap() + 5;
    server.await_varz("several deadlines to pass", |varz| varz["uptime_seconds"].as_u64() >= Some(later));
    for _ in 0..REQUESTS {
        assert_eq!(http.reply().status, 200);
    }
    http.send(end);
    assert_eq!(http.reply().status, 200);
}

/// HEAD is GET without the body: the same head, and the connection is free for the next request.
#[test]
fn head_is_get_without_a_body() {
    let server = TestServer::start();
    let mut http = server.http();
    for path in ["/health", "/api/v1/manga?limit=3", "/api/v1/manga/akira", "/nothing", "/api/v1/users/me"] {
        let get = http.get(path, None);
        let head = http.request("HEAD", path, &[], b"");
        let fields = |reply: &common::http::Reply| {
            let but_date = reply.headers.iter().filter(|(name, _)| name != "date");
            but_date.cloned().collect::<Vec<_>>()
        };
        assert_eq!((head.status, fields(&head)), (get.status, fields(&get)), "{path}");
    }
}

/// `Connection: close` and HTTP/1.0 end the connection after the answer; HTTP/1.0 may ask to keep it.
#[test]
fn connections_end_when_asked() {
    let server = TestServer::start();
    let mut http = server.http();
    let reply = http.request("GET", "/health", &["Connection: close"], b"");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    http.closed();
    let mut old = server.http();
    old.send("GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(old.reply().status, 200);
    old.closed();
    let mut kept = server.http();
    kept.send("GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(kept.reply().header("connection"), Some("keep-alive"));
    assert_eq!(kept.get("/health", None).status, 200);
}

/// Who closes its side after the request is still answered, a slow job included.
#[test]
fn a_request_before_a_half_close_is_answered() {
    let server = TestServer::start();
    server.register("alice");
    let login = json!({"username": "alice", "password": PASSWORD}).to_string();
    let mut http = server.http();
    http.send(request("GET", "/health", &[], b""));
    http.send(request("POST", "/api/v1/auth/login", &[], login.as_bytes()));
    http.end();
    assert_eq!(http.reply().status, 200);
    assert!(http.reply().data(200)["token"].is_string());
    http.closed();
    let mut half = server.http();
    half.send("GET /health HTTP/1.1\r\nHost: localho");
    half.end();
    half.closed();
}

/// A body comes sized, chunked, or after a 100 that was asked for; an unknown expectation is 417.
#[test]
fn bodies_arrive_in_every_framing() {
    let server = TestServer::start();
    server.register("alice");
    let login = json!({"username": "alice", "password": PASSWORD}).to_string();
    let (first, second) = login.split_at(7);
    let mut http = server.http();
    let chunked = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x};ext=\"1\"\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nTrailer: 1\r\n\r\n",
        first.len(),
        second.len()
    );
    http.send(&chunked);
    assert!(http.reply().data(200)["token"].is_string());
    for byte in chunked.as_bytes() {
        http.send([*byte]);
    }
    assert!(http.reply().data(200)["token"].is_string());
    let length = login.len();
    let head = format!("POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
    http.send(format!("{head}Expect: 100-continue\r\n\r\n"));
    assert_eq!(http.reply().status, 100);
    http.send(&login);
    assert!(http.reply().data(200)["token"].is_string());
    http.send(format!("{head}Expect: miracles\r\n\r\n"));
    http.reply().refused(417, "EXPECTATION_FAILED");
    http.closed();
}

// ---- where a request leads

/// An unknown path is 404 and a wrong method 405 with what is allowed, each in the family's shape.
#[test]
fn wrong_paths_and_methods_have_the_familys_shape() {
    let server = TestServer::start();
    let mut http = server.http();
    for path in ["/", "/nothing", "/api/v1", "/api/v1/nothing", "/api/v1/manga/akira/nothing", "//manga", "/manga//x"] {
        http.get(path, None).refused(404, "NOT_FOUND");
    }
    for path in ["/api/nothing", "/auth/nothing"] {
        let reply = http.get(path, None);
        assert_eq!(reply.status, 404);
        let body = reply.json();
        assert!(body["error"].is_string() && body.as_object().unwrap().len() == 1, "{path}: {body}");
    }
    for (method, path, allow) in [
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/auth/login", "POST, OPTIONS"),
        ("PATCH", "/api/v1/users/library", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/api/v1/users/progress/akira", "DELETE, GET, HEAD, PUT, OPTIONS"),
    ] {
        let reply = http.request(method, path, &[], b"");
        reply.refused(405, "METHOD_NOT_ALLOWED");
        let methods = |list: &str| {
            let mut list: Vec<String> = list.split(", ").map(str::to_owned).collect();
            list.sort();
            list
        };
        assert_eq!(methods(reply.header("allow").unwrap()), methods(allow), "{method} {path}");
    }
}

/// OPTIONS tells what a path takes, for `*` as well; pages of listed origins may read answers, no others.
#[test]
fn browsers_of_listed_origins_may_read() {
    let server = TestServer::start();
    let mut http = server.http();
    let preflight = ["Origin: http://localhost:3000", "Access-Control-Request-Method: PUT"];
    let reply = http.request("OPTIONS", "/api/v1/users/progress/akira", &preflight, b"");
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert!(reply.header("access-control-allow-methods").unwrap().contains("PUT"));
    assert!(reply.header("access-control-allow-headers").unwrap().contains("Authorization"));
    assert!(reply.header("allow").unwrap().contains("PUT"));
    assert_eq!(http.request("OPTIONS", "*", &[], b"").status, 204);
    http.request("OPTIONS", "/nothing", &[], b"").refused(404, "NOT_FOUND");
    let allowed = |http: &mut common::http::HttpClient, path: &str, origin: &str| {
        let reply = http.request("GET", path, &[&format!("Origin: {origin}")], b"");
        reply.header("access-control-allow-origin").map(str::to_owned)
    };
    for path in ["/health", "/api/v1/users/me", "/nothing"] {
        assert_eq!(allowed(&mut http, path, "http://localhost:8080").as_deref(), Some("http://localhost:8080"));
        for stranger in ["http://evil.example", "null", "http://localhost:3000.evil.example", "*"] {
            assert_eq!(allowed(&mut http, path, stranger), None, "{stranger}");
        }
        assert_eq!(http.get(path, None).header("access-control-allow-origin"), None, "no origin, no answer to it");
    }
    let open = TestServer::with(|config| config.http.cors_origins = vec!["*".into()]);
    let reply = open.http().request("GET", "/health", &["Origin: http://any.example"], b"");
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}

/// A host that is not this server's is 421, which stops DNS rebinding; a listed one is served.
#[test]
fn only_our_hosts_are_served() {
    let server = TestServer::with(|config| config.http.hosts = vec!["manga.example".into()]);
    let status = |host: &str| {
        let mut http = server.http();
        http.send(format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        http.reply().status
    };
    for ours in ["localhost", "localhost:8080", "127.0.0.1", "[::1]:80", "manga.example:8080"] {
        assert_eq!(status(ours), 200, "{ours}");
    }
    for strange in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080"] {
        assert_eq!(status(strange), 421, "{strange}");
    }
    let mut http = server.http();
    http.send("GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http.reply().refused(421, "MISDIRECTED_REQUEST");
    http.get("/health", None);
}

// ---- what is no request, or too much of one

/// Everything that two programs could read in two ways is refused in the family's shape, and closed.
#[test]
fn ambiguous_framing_is_refused_and_closed() {
    let server = TestServer::start();
    let get = "GET /api/v1/manga HTTP/1.1\r\nHost: localhost\r\n";
    let post = "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n";
    for (bytes, status, code) in [
        (format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}"), 400, "BAD_REQUEST"),
        (format!("{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}"), 400, "BAD_REQUEST"),
        (format!("{post}Content-Length: +2\r\n\r\n{{}}"), 400, "BAD_REQUEST"),
        (format!("{post}Content-Length: -2\r\n\r\n{{}}"), 400, "BAD_REQUEST"),
        (format!("{post}Content-Length: 2, 2\r\n\r\n{{}}"), 400, "BAD_REQUEST"),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n"), 501, "NOT_IMPLEMENTED"),
        (format!("{post}Transfer-Encoding: chunked\r\n\r\nZZ\r\n"), 400, "BAD_REQUEST"),
        (format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n"), 400, "BAD_REQUEST"),
        (get.replace("\r\n", "\n") + "\n", 400, "BAD_REQUEST"),
        (format!("{get}A: 1\r\n folded\r\n\r\n"), 400, "BAD_REQUEST"),
        (format!("{get}A : 1\r\n\r\n"), 400, "BAD_REQUEST"),
        (format!("{get}Host: localhost\r\n\r\n"), 400, "BAD_REQUEST"),
        ("GET /api/v1/manga HTTP/1.1\r\n\r\n".into(), 400, "BAD_REQUEST"),
        ("GET /api/v1/manga HTTP/2.0\r\nHost: localhost\r\n\r\n".into(), 505, "VERSION_NOT_SUPPORTED"),
        (format!("{get}Nul: \0\r\n\r\n"), 400, "BAD_REQUEST"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".into(), 400, "BAD_REQUEST"),
    ] {
        let mut http = server.http();
        http.try_send(format!("{bytes}GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let reply = http.reply();
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{bytes:?}");
        reply.refused(status, code);
        http.closed();
    }
    let mut http = server.http();
    http.send("POST /api/progress HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n");
    let body = http.reply().json();
    assert!(body["error"].is_string(), "the second family's shape: {body}");
}

/// What is too large is refused by its size, with the status that names it, before it has arrived whole.
#[test]
fn what_is_too_large_is_refused() {
    let server = TestServer::start();
    let host = "Host: localhost\r\n";
    let many: String = (0..100).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (bytes, status, code) in [
        (
            format!("POST /api/v1/auth/login HTTP/1.1\r\n{host}Content-Length: 1048577\r\n\r\n"),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (
            format!(
                "POST /api/v1/auth/login HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n100001\r\n{}",
                "x".repeat(1 << 20)
            ),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (format!("GET /api/v1/manga?title={} HTTP/1.1\r\n{host}\r\n", "x".repeat(8 << 10)), 414, "URI_TOO_LONG"),
        (format!("GET /api/v1/manga HTTP/1.1\r\n{host}{many}\r\n"), 431, "HEADERS_TOO_LARGE"),
        (format!("GET /api/v1/manga HTTP/1.1\r\n{host}A: {}\r\n\r\n", "x".repeat(16 << 10)), 431, "HEADERS_TOO_LARGE"),
        ("x".repeat(1 << 20), 414, "URI_TOO_LONG"),
    ] {
        let mut http = server.http();
        http.try_send(&bytes);
        let reply = http.reply();
        assert_eq!(reply.header("connection"), Some("close"));
        reply.refused(status, code);
        http.closed();
    }
    let body = format!("{{\"pad\":\"{}\"}}", "x".repeat((1 << 20) - 10));
    assert_eq!(body.len(), 1 << 20);
    let reply = server.http().request("POST", "/api/v1/auth/login", &[], body.as_bytes());
    reply.refused(400, "BAD_REQUEST");
}

/// A head or a body that does not arrive in time is 408; bytes do not renew the time. A silent
/// connection is closed without a word.
#[test]
fn what_does_not_arrive_in_time_is_refused() {
    let server = TestServer::with(|config| {
        config.http.head_timeout_ms = 2000;
        config.http.body_timeout_ms = 2000;
        config.http.idle_timeout_ms = 2000;
    });
    let silent = server.http();
    let begun = [
        "GET /health HT",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ];
    // All of them wait at the same time.
    let begun = begun.map(|begun| {
        let mut http = server.http();
        http.send(begun);
        (begun, http)
    });
    for (begun, mut http) in begun {
        let reply = http.reply();
        assert_eq!(reply.header("connection"), Some("close"), "{begun:?}");
        reply.refused(408, "REQUEST_TIMEOUT");
        http.closed();
    }
    silent.closed();
    server.await_closed("http", "read_timeout");
    server.await_closed("http", "idle_timeout");
}

/// Every answer has its length, its date and its type, and each error one line of JSON.
#[test]
fn every_answer_is_framed() {
    let server = TestServer::start();
    let mut http = server.http();
    for (path, kind) in [("/health", "application/json"), ("/nothing", "application/json")] {
        let reply = http.get(path, None);
        assert_eq!(reply.header("content-type"), Some(kind));
        assert_eq!(reply.header("content-length").unwrap().parse::<usize>().unwrap(), reply.body.len());
        assert!(reply.header("date").is_some_and(|date| date.ends_with(" GMT")));
        assert!(serde_json::from_slice::<Value>(&reply.body).is_ok());
    }
}
