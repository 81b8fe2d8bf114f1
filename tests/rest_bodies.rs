//! Bodies that are wrong, for every route that takes one: always refused by name, never stored, never
//! an error of the server's own.

mod common;

use common::{COMPLETED, ONGOING, TestServer};
use serde_json::{Value, json};

/// A route that takes a body, with one that it accepts, and the members it can't do without.
struct BodyRoute {
    method: &'static str,
    path: &'static str,
    good: Value,
    required: &'static [&'static str],
}

fn routes() -> Vec<BodyRoute> {
    let route = |method, path, good, required| BodyRoute { method, path, good, required };
    vec![
        route(
            "POST",
            "/api/v1/auth/register",
            json!({"username": "newcomer", "email": "new@example.org", "password": "secret1"}),
            &["username", "email", "password"],
        ),
        route("POST", "/api/v1/auth/login", json!({"username": "alice", "password": "x"}), &["username", "password"]),
        route(
            "PUT",
            "/api/v1/users/me/password",
            json!({"current_password": "x", "new_password": "another horse"}),
            &["current_password", "new_password"],
        ),
        route("POST", "/api/v1/users/library", library(), &["manga_id", "status"]),
        route("POST", "/users/library", library(), &["manga_id", "status"]),
        route("PUT", "/api/v1/users/progress/berserk", change(), &[]),
        route("PUT", "/users/progress", named_change(), &["manga_id"]),
    ]
}

fn library() -> Value {
    json!({"manga_id": "bleach", "status": "reading", "current_chapter": 1})
}

fn change() -> Value {
    json!({"current_chapter": 5, "chapter_exact": 5.5, "status": "reading", "rating": 5, "volume": 1, "page": 2,
        "private": false, "note": "n", "read_at": "2026-01-31T09:00:00Z"})
}

fn named_change() -> Value {
    let mut change = change();
    change["manga_id"] = json!(ONGOING);
    change
}

/// The server with a user who has a library.
fn server() -> (TestServer, String) {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    for slug in [ONGOING, COMPLETED] {
        let body = json!({"manga_id": slug, "status": "reading"});
        server.http().post("/api/v1/users/library", Some(&alice.token), &body).data(201);
    }
    (server, alice.token)
}

/// A member of each wrong type is refused, and the message names it.
#[test]
fn wrong_types_are_refused_by_name() {
    let (server, token) = server();
    let mut http = server.http();
    for BodyRoute { method, path, good, .. } in routes() {
        for (name, value) in good.as_object().unwrap() {
            let wrong: &[Value] = match value {
                // A series is named by text or by number.
                _ if name == "manga_id" => &[json!(true), json!([]), json!({}), json!(1.5), json!(-1)],
                Value::String(_) => &[json!(5), json!(true), json!([]), json!({})],
                Value::Bool(_) => &[json!(5), json!("true"), json!([]), json!({})],
                _ => &[json!("5"), json!(true), json!([]), json!({}), json!(1e300), json!(-5)],
            };
            for wrong in wrong {
                let mut body = good.clone();
                body[name] = wrong.clone();
                let reply = http.json(method, path, Some(&token), Some(&body));
                let message = reply.refused(400, "BAD_REQUEST");
                assert!(message.contains(name.as_str()), "{method} {path} with {name} = {wrong}: {message}");
            }
        }
    }
}

/// A member that must be there is asked for by name, for `null` as for nothing.
#[test]
fn missing_members_are_asked_for() {
    let (server, token) = server();
    let mut http = server.http();
    for BodyRoute { method, path, good, required } in routes() {
        for name in required {
            let mut without = good.clone();
            without.as_object_mut().unwrap().remove(*name);
            let mut null = good.clone();
            null[name] = Value::Null;
            for body in [without, null] {
                let message = http.json(method, path, Some(&token), Some(&body)).refused(400, "BAD_REQUEST");
                assert!(message.contains(name), "{method} {path} without {name}: {message}");
            }
        }
    }
}

/// What is not JSON is `INVALID_JSON`; what is JSON and no object is `BAD_REQUEST`; the connection goes on.
#[test]
fn bodies_that_are_no_object_are_refused() {
    let (server, token) = server();
    let mut http = server.http();
    let authorization = format!("Authorization: Bearer {token}");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let malformed: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"nonsense",
        b"{\"username\":\"a\",}",
        b"{'username':'a'}",
        b"{\"a\":1,\"a\":2}",
        b"{\"manga_id\":\"akira\",\"manga_id\":\"berserk\"}",
        b"{}{}",
        b"\xff\xfe",
        b"{\"username\":\"\xc3\x28\"}",
        b"\0",
        b"{\"username\":\"a\0b\"}",
        b"\xef\xbb\xbf{}",
    ];
    for BodyRoute { method, path, .. } in routes() {
        for body in &malformed {
            let reply = http.request(method, path, &[&authorization], body);
            reply.refused(400, "INVALID_JSON");
        }
        for body in ["[]", "null", "5", "\"text\"", "true", &deep] {
            let reply = http.request(method, path, &[&authorization], body.as_bytes());
            reply.refused(400, "BAD_REQUEST");
        }
    }
}

/// Text that could mean something to a database, a terminal, a browser or a path is text: it is stored
/// as it is or refused, and no table is harmed.
#[test]
fn hostile_text_is_text() {
    let (server, token) = server();
    let mut http = server.http();
    let hostile = [
        "'; DROP TABLE users; --",
        "\" OR \"\"=\"",
        "1; DELETE FROM progress",
        "%' UNION SELECT password_hash FROM users --",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "\u{1b}[31mred",
        "a\0b",
        "\r\nX-Injected: 1",
        "\u{202e}drawkcab",
        "\u{fffd}\u{10ffff}",
        "${jndi:ldap://x}",
        "界".repeat(5000).leak(),
    ];
    for text in hostile {
        for BodyRoute { method, path, good, .. } in routes() {
            for (name, value) in good.as_object().unwrap() {
                if !value.is_string() || path.ends_with("/me/password") {
                    continue;
                }
                let mut body = good.clone();
                body[name] = json!(text);
                let reply = http.json(method, path, Some(&token), Some(&body));
                assert!(reply.status < 500, "{method} {path} with {name} = {text:?}: {}", reply.text());
                let stores =
                    ["note", "password"].contains(&name.as_str()) || reply.status == 404 || reply.status == 429;
                assert!(stores || reply.status >= 400, "{method} {path} took {name} = {text:?}");
                assert_eq!(reply.header("x-injected"), None);
            }
        }
    }
    let note = "'; DROP TABLE progress; --";
    http.put("/api/v1/users/progress/akira", Some(&token), &json!({"note": note})).data(200);
    let row = http.get("/api/v1/users/progress/akira", Some(&token)).data(200);
    assert_eq!(row["progress"]["note"], note);
    assert_eq!(http.get("/api/v1/users/library", Some(&token)).data(200)["items"].as_array().unwrap().len(), 2);
    http.get("/api/v1/users/me", Some(&token)).data(200);
}

/// Numbers at their edges neither overflow nor are rounded in silence.
#[test]
fn numbers_at_their_edges() {
    let (server, token) = server();
    let mut http = server.http();
    let authorization = format!("Authorization: Bearer {token}");
    let mut put =
        |body: &str| http.request("PUT", "/api/v1/users/progress/berserk", &[&authorization], body.as_bytes());
    for refused in [
        "{\"current_chapter\":9223372036854775808}",
        "{\"current_chapter\":-0.001}",
        "{\"current_chapter\":1.2345}",
        "{\"current_chapter\":1e99}",
        "{\"volume\":9999999999}",
        "{\"page\":-1}",
        "{\"rating\":10.5}",
        "{\"rating\":9223372036854775808}",
    ] {
        put(refused).refused(400, "BAD_REQUEST");
    }
    for accepted in
        ["{\"current_chapter\":0}", "{\"current_chapter\":5.0}", "{\"current_chapter\":1e2}", "{\"rating\":10}"]
    {
        put(accepted).data(200);
    }
}
