//! Accounts over both families: logging in, refresh tokens, which tokens are good, and what every one of these
//! routes says to whoever sends it nonsense. Leaving is in `departure.rs`.

mod common;

use std::path::PathBuf;

use common::accounts::{database, login, me, now_s, refresh, refused, signed, tokens};
use common::http::{HttpClient, Reply, request};
use common::{PASSWORD, TestServer};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

// ---- the second family's login

/// Registering, logging in and refreshing, in the shapes that its clients know; the life that is told is
/// the life the token has, and the token is good everywhere.
#[test]
fn the_second_family_logs_in() {
    let server = TestServer::with(|config| config.auth.v2_access_minutes = 7);
    let body = json!({"username": "alice", "password": PASSWORD, "email": "alice@example.org"});
    let made = server.http().post("/auth/register/", None, &body);
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["user_id"].as_str().unwrap().to_owned();
    assert_eq!(made.json(), json!({"user_id": id, "username": "alice", "email": "alice@example.org"}));
    refused(&server.http().post("/auth/register", None, &body), 409, "Account creation failed");

    let first = login(&server, "alice", PASSWORD);
    let body = first.json();
    assert_eq!((&body["user_id"], &body["username"]), (&json!(id), &json!("alice")));
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(420)));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let first = tokens(&first);
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&first.access).unwrap().claims;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 420);
    assert_eq!((&claims["iss"], &claims["sub"], &claims["role"]), (&json!("mangahub"), &json!(id), &json!("user")));
    assert!(claims["scopes"].as_array().unwrap().contains(&json!("read:library")));

    let second = refresh(&server, &first.refresh);
    assert_eq!((&second.json()["token_type"], &second.json()["expires_in"]), (&json!("Bearer"), &json!(420)));
    assert_eq!(second.json().as_object().unwrap().len(), 4, "{}", second.text());
    let second = tokens(&second);
    assert_ne!((&first.access, &first.refresh), (&second.access, &second.refresh));
    for access in [&first.access, &second.access] {
        assert_eq!(me(&server, access), 200);
        server.v1().authenticate(access);
        server.v2().authenticate(access);
    }
}

/// One logs in by name or address; what the client leaves empty is not given; everybody who can't get the
/// same answer.
#[test]
fn by_name_or_address() {
    let server = TestServer::start();
    server.register("alice");
    let mut http = server.http();
    for who in [
        json!({"username": "alice"}),
        json!({"email": "ALICE@example.org"}),
        json!({"username": "", "email": "alice@example.org"}),
        json!({"username": "alice", "email": ""}),
        json!({"username": "Alice", "email": null}),
    ] {
        let mut body = who.clone();
        body["password"] = json!(PASSWORD);
        tokens(&http.post("/auth/login", None, &body));
        body["password"] = json!("not it");
        refused(&http.post("/auth/login", None, &body), 401, "invalid credentials");
    }
    refused(&login(&server, "nobody", PASSWORD), 401, "invalid credentials");
    for body in [json!({"password": PASSWORD}), json!({"username": "", "email": "", "password": PASSWORD})] {
        refused(&http.post("/auth/login", None, &body), 400, "username or email: required");
    }
    refused(&http.post("/auth/login", None, &json!({"username": "alice"})), 400, "password: required");
}

/// Failures count for both families together: whoever guesses over one waits on the other.
#[test]
fn failures_are_counted_over_both_families() {
    let server = TestServer::start();
    server.register("alice");
    for _ in 0..6 {
        refused(&login(&server, "alice", "not it"), 401, "invalid credentials");
    }
    let paused = login(&server, "alice", PASSWORD);
    refused(&paused, 429, "Too many failed logins, please wait");
    assert!(paused.header("retry-after").is_some());
    let body = json!({"username": "alice", "password": PASSWORD});
    server.http().post("/api/v1/auth/login", None, &body).refused(429, "RATE_LIMITED");
}

/// Names of up to fifty characters, passwords from eight to 72 bytes; nobody registers on a closed server.
#[test]
fn what_can_be_registered() {
    let mut server = TestServer::start();
    let register = |server: &TestServer, name: &str, password: &str| {
        let body = json!({"username": name, "password": password, "email": "x@example.org"});
        server.http().post("/auth/register", None, &body)
    };
    assert_eq!(register(&server, &"n".repeat(50), &"p".repeat(72)).status, 201);
    refused(&register(&server, &"n".repeat(51), PASSWORD), 400, "username: 3 to 50 characters");
    refused(&register(&server, "bob", "1234567"), 400, "password: at least 8 characters");
    refused(&register(&server, "bob", &"p".repeat(73)), 400, "password: at most 72 bytes, and no NUL");
    refused(&register(&server, "bob", "1234567\0"), 400, "password: at most 72 bytes, and no NUL");
    refused(&register(&server, "bobby", PASSWORD), 409, "Account creation failed");
    server.restart_with(|config| config.auth.registration = mangahub::config::Registration::Closed);
    refused(&register(&server, "bobby", PASSWORD), 403, "Registration is closed on this server");
}

// ---- refresh tokens

/// A refresh token is good once. When a spent one comes again, the thief's and the owner's are void.
#[test]
fn a_spent_token_ends_its_family() {
    let server = TestServer::start();
    server.register("alice");
    let stolen = tokens(&login(&server, "alice", PASSWORD)).refresh;
    let other = tokens(&login(&server, "alice", PASSWORD)).refresh;
    let next = tokens(&refresh(&server, &stolen)).refresh;
    let newest = tokens(&refresh(&server, &next)).refresh;
    refused(&refresh(&server, &stolen), 401, "refresh token revoked");
    refused(&refresh(&server, &newest), 401, "refresh token revoked");
    tokens(&refresh(&server, &other));
}

/// Of many refreshes with one token at the same time one wins, and the others end the family.
#[test]
fn a_race_has_one_winner() {
    let server = TestServer::start();
    server.register("alice");
    for _ in 0..5 {
        let token = tokens(&login(&server, "alice", PASSWORD)).refresh;
        let body = json!({"refresh_token": token}).to_string();
        let mut clients: Vec<HttpClient> = (0..6).map(|_| server.http()).collect();
        for client in &mut clients {
            client.send(request("POST", "/auth/refresh", &[], body.as_bytes()));
        }
        let replies: Vec<Reply> = clients.iter_mut().map(HttpClient::reply).collect();
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 5));
        lost.into_iter().for_each(|reply| refused(reply, 401, "refresh token revoked"));
        refused(&refresh(&server, &tokens(won[0]).refresh), 401, "refresh token revoked");
    }
}

/// Revoking says the same whether there was such a token or not, and ends what there was.
#[test]
fn revoking_always_succeeds() {
    let server = TestServer::start();
    server.register("alice");
    let revoke = |token: &str| {
        let reply = server.http().post("/auth/revoke/", None, &json!({"refresh_token": token}));
        assert_eq!((reply.status, reply.json()), (200, json!({"message": "Refresh token revoked successfully"})));
    };
    let spent = tokens(&login(&server, "alice", PASSWORD));
    let living = tokens(&refresh(&server, &spent.refresh)).refresh;
    for nothing in ["", "nonsense", &"0".repeat(96), "0b0e9a3c-57a8-4c4e-8e0b-0d5c3c1f2a11"] {
        revoke(nothing);
    }
    revoke(&spent.refresh);
    revoke(&spent.refresh);
    refused(&refresh(&server, &living), 401, "refresh token revoked");
    assert_eq!(me(&server, &spent.access), 200, "access tokens live their minutes");
}

/// What is no token, what was never given, and what has expired are told apart.
#[test]
fn refusals_say_why() {
    let server = TestServer::start();
    server.register("alice");
    let token = tokens(&login(&server, "alice", PASSWORD)).refresh;
    let upside_down: String = token.chars().rev().collect();
    for nothing in ["", "x", &token[1..], &upside_down, &"f".repeat(96), "0b0e9a3c-57a8-4c4e-8e0b-0d5c3c1f2a11"] {
        refused(&refresh(&server, nothing), 401, "invalid refresh token");
    }
    database(&server).execute("UPDATE refresh_tokens SET expires_at = 1", []).unwrap();
    refused(&refresh(&server, &token), 401, "refresh token expired");
}

/// A new password and logging out everywhere void every refresh token, at once and over a restart.
#[test]
fn voiding_tokens_voids_refresh_tokens() {
    let mut server = TestServer::start();
    let alice = server.register("alice");
    let bob = server.register("bob");
    let bobs = tokens(&login(&server, "bob", PASSWORD)).refresh;
    let before = tokens(&login(&server, "alice", PASSWORD));
    let body = json!({"current_password": PASSWORD, "new_password": "another horse"});
    server.http().put("/api/v1/users/me/password", Some(&alice.token), &body).data(200);
    refused(&refresh(&server, &before.refresh), 401, "refresh token revoked");
    assert_eq!(me(&server, &before.access), 401);
    let after = tokens(&login(&server, "alice", "another horse"));
    assert_eq!(me(&server, &after.access), 200);
    server.http().post("/api/v1/auth/logout-all", Some(&after.access), &json!({})).data(200);
    refused(&refresh(&server, &after.refresh), 401, "refresh token revoked");
    server.restart_with(|_| {});
    refused(&refresh(&server, &after.refresh), 401, "refresh token revoked");
    assert_eq!((me(&server, &after.access), me(&server, &bob.token)), (401, 200));
    let kept = tokens(&refresh(&server, &bobs)).refresh;
    tokens(&refresh(&server, &kept));
}

/// What is kept on disk can't be used: neither a token's text nor its bytes are in any file.
#[test]
fn tokens_are_not_on_disk() {
    let mut server = TestServer::start();
    server.register("alice");
    let first = tokens(&login(&server, "alice", PASSWORD)).refresh;
    let second = tokens(&refresh(&server, &first)).refresh;
    for stopped in [false, true] {
        if stopped {
            server.stop();
        }
        for entry in std::fs::read_dir(server.folder()).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for token in [&first, &second] {
                let raw: Vec<u8> =
                    (0..96).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16).unwrap()).collect();
                for secret in [&token.as_bytes()[..32], &token.as_bytes()[32..], &raw[..16], &raw[16..]] {
                    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
                }
            }
        }
    }
}

// ---- tokens

/// A token older than any that is given is refused, whatever it says of its end: what voided it may have
/// been forgotten. Scopes of its own don't keep it out of what needs none.
#[test]
fn a_token_can_be_too_old() {
    let server = TestServer::with(|config| {
        config.auth.v1_token_days = 2;
        config.auth.v2_access_minutes = 60;
    });
    let alice = server.register("alice");
    let token = |age_s: i64, scopes: Value| {
        let iat = now_s() - age_s;
        signed(
            &json!({"user_id": alice.id, "username": "alice", "iat": iat, "exp": now_s() + 86_400, "scopes": scopes}),
        )
    };
    let old = token(2 * 86_400 + 60, Value::Null);
    assert_eq!(me(&server, &old), 401);
    let mut session = server.v2();
    session.say("auth", json!({"token": old}));
    session.expect("auth_error");
    assert_eq!(me(&server, &token(2 * 86_400 - 60, Value::Null)), 200);
    assert_eq!(me(&server, &token(0, json!([]))), 200);
    assert_eq!(me(&server, &token(0, json!("read:manga"))), 401, "scopes are a list");
    assert_eq!(
        me(&server, &signed(&json!({"user_id": alice.id, "username": "alice", "iat": -1e300, "exp": 1e300}))),
        401
    );
}

/// What the second family's clients read when they are refused: why there is no user, or which scope is
/// demanded and which the token has.
#[test]
fn the_second_family_says_why_not() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let token = |scopes: Value| {
        let exp = now_s() + 3600;
        signed(&json!({"user_id": alice.id, "username": "alice", "iat": now_s() - 1, "exp": exp, "scopes": scopes}))
    };
    let mut http = server.http();
    let mut comment = |authorization: Option<&str>| {
        let field = authorization.map(|value| format!("Authorization: {value}"));
        let fields: Vec<&str> = field.iter().map(String::as_str).chain(["Content-Type: application/json"]).collect();
        http.request("POST", "/api/manga/1/comments", &fields, br#"{"content":"First!"}"#)
    };
    let bearer = |token: &str| format!("Bearer {token}");
    let by_another = {
        let claims = json!({"user_id": alice.id, "username": "alice", "exp": now_s() + 3600});
        let key = EncodingKey::from_secret(b"some other secret of thirty-two bytes");
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
    };
    for (authorization, error) in [
        (None, "missing authorization header"),
        (Some("Basic YWxpY2U6eA==".to_owned()), "invalid authorization header format"),
        (Some(alice.token.clone()), "invalid authorization header format"),
        (Some(bearer("nonsense")), "invalid token"),
        (Some(bearer(&by_another)), "invalid token"),
        (Some(bearer(&format!("{}x", alice.token))), "invalid token"),
    ] {
        let reply = comment(authorization.as_deref());
        refused(&reply, 401, error);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{authorization:?}");
    }
    let narrow = comment(Some(&bearer(&token(json!(["read:manga", "write:progress"])))));
    let said = json!({
        "error": "Insufficient scopes",
        "required": ["write:comment"],
        "granted": ["read:manga", "write:progress"],
    });
    assert_eq!((narrow.status, narrow.json()), (403, said));
    assert_eq!(comment(Some(&bearer(&token(json!([]))))).json()["granted"], json!([]));
    assert_eq!(comment(Some(&bearer(&token(json!(["write:*"]))))).status, 201);
    assert_eq!(comment(Some(&bearer(&alice.token))).status, 201);
}

/// Right after logging out everywhere one logs in again and again, and each pair of tokens counts.
#[test]
fn logging_in_right_after_logging_out_everywhere() {
    let server = TestServer::start();
    server.register("alice");
    for _ in 0..3 {
        let pair = tokens(&login(&server, "alice", PASSWORD));
        let next = tokens(&refresh(&server, &pair.refresh));
        assert_eq!((me(&server, &pair.access), me(&server, &next.access)), (200, 200));
        server.http().post("/api/v1/auth/logout-all", Some(&next.access), &json!({})).data(200);
        assert_eq!((me(&server, &pair.access), me(&server, &next.access)), (401, 401));
        refused(&refresh(&server, &next.refresh), 401, "refresh token revoked");
    }
}

// ---- nonsense

/// A route that takes a body: where, whose shape, one that it takes, and the members that it can't do without.
type BodyRoute = (&'static str, &'static str, Value, &'static [&'static str]);

fn body_routes() -> Vec<BodyRoute> {
    let register = json!({"username": "newcomer", "password": PASSWORD, "email": "new@example.org"});
    let token = json!({"refresh_token": "0".repeat(96)});
    vec![
        ("POST", "/auth/register", register, &["username", "password", "email"]),
        ("POST", "/auth/login", json!({"username": "someone", "password": "x"}), &["username", "password"]),
        ("POST", "/auth/login", json!({"email": "someone@example.org", "password": "x"}), &["email", "password"]),
        ("POST", "/auth/refresh", token.clone(), &["refresh_token"]),
        ("POST", "/auth/revoke", token, &["refresh_token"]),
        ("DELETE", "/api/v1/users/me", json!({"password": "x"}), &["password"]),
    ]
}

/// Texts that mean something to SQL, to terminals, to readers from right to left, or to nobody.
fn hostile() -> Vec<String> {
    let texts = [
        "'; DROP TABLE users; --",
        "' OR '1'='1",
        "\") UNION SELECT password_hash FROM users --",
        "a\0b",
        "\u{1b}[31mred\u{7}\r\nX-Header: 1",
        "\u{202e}evil\u{202c}",
        "שלום עולם",
        "👩‍👩‍👧‍👦🏴‍☠️👍🏽",
        "\u{feff}\u{200b}\u{fffd}\u{10ffff}",
        "%s%n{}{{}}${jndi:ldap://x}",
        "../../../../etc/passwd",
        "<script>alert(1)</script>",
        "deleted:x",
        "",
        " ",
    ];
    let mut texts: Vec<String> = texts.map(str::to_owned).to_vec();
    texts.extend(["x".repeat(300), "界".repeat(5000), "\\".repeat(70_000), "0".repeat(95), "f".repeat(97)]);
    texts
}

/// What is not a body of a route is refused with the member's name where it has one; whatever text stands
/// in a member the answer is never an error of the server's own, and the server is well afterwards.
#[test]
fn nonsense_is_refused() {
    let server = TestServer::start();
    let mut http = server.http();
    for (number, (method, path, good, required)) in body_routes().into_iter().enumerate() {
        // An account for each, so that no pause of one hides what another says.
        let account = server.register(&format!("reader-{number}"));
        let mut send = |body: &[u8]| {
            let field = format!("Authorization: Bearer {}", account.token);
            http.request(method, path, &["Content-Type: application/json", &field], body)
        };
        let message = |reply: &Reply| {
            let body = reply.json();
            let error = if path.starts_with("/api/v1") { &body["error"]["message"] } else { &body["error"] };
            error.as_str().unwrap_or_else(|| panic!("{method} {path}: {body}")).to_owned()
        };
        for body in
            [&b"{"[..], b"[]", b"null", b"5", b"\"x\"", b"\xff", b"{\"a\":1,\"a\":2}", b"nonsense", &[b'['; 5000]]
        {
            assert_eq!(
                send(body).status,
                400,
                "{method} {path}: {}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
        }
        for member in required {
            for wrong in [json!(1), json!(1.5), json!(true), json!([]), json!({}), json!([[[["x"]]]])] {
                let mut body = good.clone();
                body[*member] = wrong;
                let reply = send(body.to_string().as_bytes());
                assert_eq!(reply.status, 400, "{method} {path} {body}");
                assert_eq!(message(&reply), format!("{member}: expected a string"));
            }
            for absent in [Value::Null, Value::Bool(false)] {
                let mut body = good.clone();
                match absent {
                    Value::Null => body[*member] = Value::Null,
                    _ => drop(body.as_object_mut().unwrap().shift_remove(*member)),
                }
                let reply = send(body.to_string().as_bytes());
                assert_eq!(reply.status, 400, "{method} {path} {body}");
                assert!(message(&reply).ends_with(": required"), "{}", reply.text());
            }
            for text in hostile() {
                let mut body = good.clone();
                body[*member] = json!(text);
                let status = send(body.to_string().as_bytes()).status;
                let expected: &[u16] = match (path, *member) {
                    ("/auth/revoke", _) => &[200],
                    ("/auth/refresh", _) => &[401],
                    ("/auth/register", "email") => &[400],
                    // Letters of any script can be a name, and whatever is long enough a password.
                    ("/auth/register", _) => &[201, 400, 409],
                    ("/api/v1/users/me", _) => &[403, 429],
                    _ => &[400, 401, 429],
                };
                assert!(expected.contains(&status), "{method} {path} {member} {text:.40?}: {status}");
            }
        }
        assert_eq!(me(&server, &account.token), 200);
    }
    assert_eq!(server.varz()["panics"], 0);
    assert_eq!(http.get("/db-ping", None).status, 200);
}
