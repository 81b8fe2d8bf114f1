//! What HTTP gives beside the routes: versions that a client has already, smaller answers, and what
//! caches and browsers are told.

mod common;

use std::io::Read;

use common::http::{HttpClient, Reply, request};
use common::{ONGOING, TestServer};
use flate2::read::GzDecoder;
use serde_json::json;

const GZIP: &str = "Accept-Encoding: gzip";

fn unpacked(reply: &Reply) -> Vec<u8> {
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let mut plain = Vec::new();
    GzDecoder::new(&reply.body[..]).read_to_end(&mut plain).unwrap();
    plain
}

fn varies(reply: &Reply, by: &str) -> bool {
    let fields: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "vary").collect();
    assert!(fields.len() <= 1, "{fields:?}");
    fields.iter().any(|(_, value)| value.split(", ").any(|part| part == by))
}

fn etag(reply: &Reply) -> String {
    reply.header("etag").unwrap_or_else(|| panic!("no tag: {:?}", reply.headers)).to_owned()
}

// ---- versions

/// What everybody is shown alike has a tag. Asked with it, alone or in a list, weak or strong, or with a
/// star, the server says that it still holds, without a body and with the fields that belong to it.
#[test]
fn what_a_client_has_is_not_sent_again() {
    let server = TestServer::start();
    let mut http = server.http();
    let detail = format!("/api/v1/manga/{ONGOING}");
    for path in
        [detail.as_str(), "/manga/akira", "/api/v1/manga?limit=3", "/api/v1/manga/all", "/openapi.json", "/docs"]
    {
        let first = http.get(path, None);
        let tag = etag(&first);
        assert_eq!((first.status, first.header("cache-control")), (200, Some("no-cache")), "{path}");
        assert_eq!(etag(&http.get(path, None)), tag, "{path}: the same bytes have the same tag");
        for known in
            [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), format!("\"x,y\" ,,W/{tag}"), "*".into()]
        {
            for method in ["GET", "HEAD"] {
                let reply = http.request(method, path, &[&format!("If-None-Match: {known}")], b"");
                assert_eq!((reply.status, reply.text().as_str()), (304, ""), "{method} {path} {known}");
                assert_eq!((etag(&reply), reply.header("cache-control")), (tag.clone(), Some("no-cache")));
                assert!(varies(&reply, "Origin"), "{path}");
                for absent in ["content-length", "content-type", "content-encoding"] {
                    assert_eq!(reply.header(absent), None, "{absent}");
                }
            }
        }
        let fields = ["If-None-Match: \"x\"", &format!("If-None-Match: {tag}")];
        assert_eq!(http.request("GET", path, &fields, b"").status, 304, "the list may be in several fields");
        for other in ["\"x\"", "x", "", tag.trim_matches('"'), "\"*\""] {
            let reply = http.request("GET", path, &[&format!("If-None-Match: {other}")], b"");
            assert_eq!((reply.status, reply.body), (200, first.body.clone()), "{path} {other}");
        }
    }
    let (one, other) = (http.get("/api/v1/manga?limit=3", None), http.get("/api/v1/manga?limit=4", None));
    assert_ne!(etag(&one), etag(&other));
    assert_eq!(http.get(&detail, None).status, 200, "the connection goes on");
}

/// What is for one user, what changes something and what is refused is never kept, and has no tag.
#[test]
fn what_is_for_one_user_is_not_kept() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    http.post("/api/v1/users/library", token, &json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    let login = json!({"username": "alice", "password": common::PASSWORD});
    for (status, reply) in [
        (200, http.get("/api/v1/users/me", token)),
        (200, http.get("/api/v1/users/library", token)),
        (200, http.get("/api/v1/users/progress", token)),
        (200, http.get("/api/v1/users/history", token)),
        (200, http.get("/health", None)),
        (200, http.post("/api/v1/auth/login", None, &login)),
        (401, http.get("/api/v1/users/me", None)),
        (404, http.get("/api/v1/manga/nothing", None)),
        (404, http.get("/nothing", None)),
        (400, http.get("/api/v1/manga?limit=x", None)),
        (405, http.json("DELETE", "/api/v1/manga", None, None)),
        (404, http.request("GET", "/nothing", &["If-None-Match: *"], b"")),
        (200, http.request("GET", "/health", &["If-None-Match: *"], b"")),
    ] {
        assert_eq!((reply.status, reply.header("cache-control")), (status, Some("no-store")), "{}", reply.text());
        assert_eq!(reply.header("etag"), None);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    let mut broken = server.http();
    broken.send("GET / HTTP/1.1\r\n\r\n");
    let reply = broken.reply();
    assert_eq!((reply.status, reply.header("cache-control")), (400, Some("no-store")));
    assert!(varies(&reply, "Origin"));
}

// ---- smaller answers

/// Long answers are compressed for who takes gzip, by weight; short ones and refusals are not. The
/// compressed bytes are another version, with a tag of its own that is known again.
#[test]
fn long_answers_are_compressed_for_who_wants_it() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let plain = http.get("/api/v1/manga", None);
    assert!(plain.body.len() > 10_000 && plain.header("content-encoding").is_none());
    assert!(varies(&plain, "Accept-Encoding") && varies(&plain, "Origin"));
    for (accept, packs) in [
        ("gzip", true),
        ("GZIP;q=0.1, br", true),
        ("*", true),
        ("identity;q=0, *", true),
        ("br, deflate", false),
        ("gzip;q=0", false),
        ("gzip;q=0, *", false),
        ("identity, gzip;q=0.9", false),
        ("*;q=0", false),
        ("", false),
    ] {
        let reply = http.request("GET", "/api/v1/manga", &[&format!("Accept-Encoding: {accept}")], b"");
        assert_eq!(reply.header("content-encoding"), packs.then_some("gzip"), "{accept}");
        assert!(varies(&reply, "Accept-Encoding"));
        let body = if packs { unpacked(&reply) } else { reply.body.clone() };
        assert!(body == plain.body, "{accept}");
        assert_eq!(etag(&reply) == etag(&plain), !packs, "{accept}");
    }
    for path in ["/api/v1/manga/all", "/openapi.json", "/docs/app.js", "/docs", "/openapi.json"] {
        let (plain, packed) = (http.get(path, None), http.request("GET", path, &[GZIP], b""));
        assert!(unpacked(&packed) == plain.body && packed.body.len() < plain.body.len(), "{path}");
        assert_eq!(etag(&packed), format!("{}-gz\"", etag(&plain).trim_end_matches('"')));
        let head = http.request("HEAD", path, &[GZIP], b"");
        assert_eq!(head.header("content-length"), Some(packed.body.len().to_string().as_str()), "{path}");
        assert_eq!((etag(&head), head.header("content-encoding")), (etag(&packed), Some("gzip")));
        // Both versions are of now, so either is known, whatever is asked for this time.
        for (known, fields) in [(&packed, &[GZIP][..]), (&packed, &[]), (&plain, &[GZIP]), (&plain, &[])] {
            let known = etag(known);
            let reply = http.request("GET", path, &[fields, &[&format!("If-None-Match: {known}")]].concat(), b"");
            assert_eq!((reply.status, etag(&reply)), (304, known), "{path}");
        }
    }
    let token = format!("Authorization: Bearer {}", alice.token);
    for slug in [ONGOING, "akira", "one-piece"] {
        http.post("/api/v1/users/library", Some(&alice.token), &json!({"manga_id": slug, "status": "reading"}))
            .data(201);
    }
    let library = http.request("GET", "/api/v1/users/library", &[&token, GZIP], b"");
    assert!(String::from_utf8(unpacked(&library)).unwrap().contains(ONGOING));
    assert_eq!((library.header("cache-control"), library.header("etag")), (Some("no-store"), None));
    for short in ["/health", "/nothing", "/api/v1/manga?title=nothing"] {
        let reply = http.request("GET", short, &[GZIP], b"");
        assert_eq!(reply.header("content-encoding"), None, "{short}");
    }
    let forced = http.request("GET", "/health", &["Accept-Encoding: gzip, identity;q=0"], b"");
    assert!(String::from_utf8(unpacked(&forced)).unwrap().contains("ok"), "who refuses the plain form gets none");
}

/// One series is compressed as well, and its compressed form is kept: the same bytes come again.
#[test]
fn a_series_keeps_its_compressed_form() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue.json");
    let series = json!([{"slug": "long", "title": "Long", "status": "ongoing", "description": "again ".repeat(500)}]);
    std::fs::write(&catalogue, series.to_string()).unwrap();
    let server = TestServer::with(|config| config.store.catalogue = Some(catalogue.clone()));
    let mut http = server.http();
    let plain = http.get("/api/v1/manga/long", None);
    let packed: Vec<Reply> = (0..3).map(|_| http.request("GET", "/manga/long", &[GZIP], b"")).collect();
    for reply in &packed {
        assert!(unpacked(reply) == plain.body && reply.body == packed[0].body && reply.body.len() < 1000);
    }
}

/// An answer that is still being compressed is not overtaken by those that were asked for after it.
#[test]
fn compressing_keeps_the_order() {
    let server = TestServer::start();
    let mut http = server.http();
    let paths =
        ["/api/v1/manga", "/health", "/openapi.json", "/api/v1/manga/nothing", "/api/v1/manga?limit=50", "/docs"];
    let requests: Vec<Vec<u8>> = paths.iter().cycle().take(60).map(|path| request("GET", path, &[GZIP], b"")).collect();
    http.send(requests.concat());
    let wanted: Vec<Vec<u8>> = paths.iter().map(|path| server.http().get(path, None).body).collect();
    for (number, wanted) in wanted.iter().cycle().take(60).enumerate() {
        let reply = http.reply();
        let body = if reply.header("content-encoding").is_some() { unpacked(&reply) } else { reply.body };
        assert!(body == *wanted, "answer {number} is for another request");
    }
    http.send(request("GET", "/api/v1/manga", &[GZIP, "Connection: close"], b""));
    let last = http.reply();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    unpacked(&last);
    http.closed();
}

/// While every slow worker hashes passwords and their queue is full, answers go as they are.
#[test]
fn without_room_answers_go_as_they_are() {
    let server = TestServer::with(|config| {
        config.auth.bcrypt_cost = 13;
        config.server.slow_workers = 1;
        config.limits.slow_queue_jobs = 1;
    });
    let plain = server.http().get("/api/v1/manga", None);
    let mut busy: Vec<HttpClient> = Vec::new();
    let reply = common::await_true("an answer without room to compress it", || {
        // One is being compared, one waits, and one makes up for whichever came too early.
        for _ in 0..3 {
            let body = json!({"username": format!("nobody{}", busy.len()), "password": "x"}).to_string();
            let mut login = server.http();
            login.send(request("POST", "/api/v1/auth/login", &[], body.as_bytes()));
            busy.push(login);
        }
        server.await_varz("a full queue", |varz| varz["jobs"]["waiting"]["slow"] == 1);
        let reply = server.http().request("GET", "/api/v1/manga", &[GZIP], b"");
        reply.header("content-encoding").is_none().then_some(reply)
    });
    assert_eq!((reply.status, etag(&reply)), (200, etag(&plain)));
    assert!(reply.body == plain.body && varies(&reply, "Accept-Encoding"));
}

// ---- browsers and caches between

/// An answer that would differ for another origin says so to everybody, also to who names none.
#[test]
fn answers_vary_by_origin() {
    let listed = TestServer::start();
    let mut http = listed.http();
    for path in ["/health", "/nothing", "/api/v1/users/me", "/api/v1/manga/akira", "/docs"] {
        for origin in ["X-Nothing: 1", "Origin: http://evil.example", "Origin: http://localhost:3000"] {
            assert!(varies(&http.request("GET", path, &[origin], b""), "Origin"), "{path} {origin}");
        }
    }
    let reply = http.request("GET", "/manga/akira", &["Origin: http://localhost:3000"], b"");
    assert!(reply.header("access-control-expose-headers").unwrap().contains("ETag"));
    assert!(reply.header("access-control-allow-headers").unwrap().contains("If-None-Match"));
    for origins in [vec!["*".to_owned()], vec![]] {
        let server = TestServer::with(|config| config.http.cors_origins = origins.clone());
        let reply = server.http().request("GET", "/health", &["Origin: http://any.example"], b"");
        assert!(!varies(&reply, "Origin"), "{origins:?}: everybody is answered alike");
    }
}

/// The operator's pages are never compressed nor kept, and what is posted there must be JSON.
#[test]
fn the_operators_pages_stay_as_they_are() {
    let server = TestServer::start();
    let mut internal = server.internal();
    let reply = internal.request("GET", "/metrics", &[GZIP, "If-None-Match: *"], b"");
    assert_eq!((reply.status, reply.header("content-encoding"), reply.header("etag")), (200, None, None));
    assert_eq!((reply.header("cache-control"), reply.header("vary")), (Some("no-store"), None));
    for (media_type, status) in
        [("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/json", 405)]
    {
        let reply = internal.request("POST", "/varz", &[&format!("Content-Type: {media_type}")], b"{}");
        assert_eq!(reply.status, status, "{media_type}");
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, HEAD, OPTIONS"));
    }
}
