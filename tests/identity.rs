//! Who somebody is: tokens in every form, passwords, pauses after failures, secrets and accounts that the
//! operator makes.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::http::HttpClient;
use common::line::LineClient;
use common::{Account, PASSWORD, Program, SECRET, TestServer, account, await_true, run};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

/// A token that some tool made.
fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The three claims that existing tools put into a token.
fn three_claims(account: &Account) -> Value {
    json!({"user_id": account.id, "username": account.username, "exp": now_s() + 3600})
}

fn me(server: &TestServer, token: &str) -> u16 {
    server.http().get("/api/v1/users/me", Some(token)).status
}

fn login(http: &mut HttpClient, username: &str, password: &str) -> common::http::Reply {
    http.post("/api/v1/auth/login", None, &json!({"username": username, "password": password}))
}

// ---- tokens

/// Logging out everywhere twice within a second voids the token that was made in between.
#[test]
fn every_logout_everywhere_counts() {
    let server = TestServer::start();
    let mut token = server.register("alice").token;
    for _ in 0..4 {
        let out = server.http().post("/api/v1/auth/logout-all", Some(&token), &json!({}));
        assert_eq!((out.status, me(&server, &token)), (200, 401));
        let again = login(&mut server.http(), "alice", PASSWORD);
        token = again.data(200)["token"].as_str().unwrap().to_owned();
        assert_eq!(me(&server, &token), 200);
    }
}

/// A token made by a tool proves whose it is: the name it says is not believed.
#[test]
fn three_claims_choose_no_name() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut claims = three_claims(&alice);
    claims["username"] = json!("somebody-else");
    let mut session = server.v1();
    session.say("auth", json!({"token": signed(Algorithm::HS256, SECRET, &claims)}));
    assert_eq!(session.expect("auth_success")["data"]["username"], "alice");
}

/// A token dated to the future is refused, for it would outlive every revocation until then.
#[test]
fn a_token_from_the_future_is_refused() {
    let server = TestServer::start();
    let mut claims = three_claims(&server.register("alice"));
    claims["iat"] = json!(now_s() + 600);
    assert_eq!(me(&server, &signed(Algorithm::HS256, SECRET, &claims)), 401);
}

/// A longer password that begins with the right one is another password.
#[test]
fn a_password_is_compared_whole() {
    let server = TestServer::start();
    let password = "p".repeat(72);
    let body = json!({"username": "alice", "email": "alice@example.org", "password": password});
    server.http().post("/api/v1/auth/register", None, &body).data(201);
    assert_eq!(login(&mut server.http(), "alice", &"p".repeat(80)).status, 401);
    assert_eq!(login(&mut server.http(), "alice", &password).status, 200);
}

/// What a token says about itself: who, from when, until when, by whom, each with an id of its own.
#[test]
fn tokens_say_what_they_are() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let read = |token: &str| {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&["mangahub"]);
        let key = DecodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
    };
    let claims = read(&alice.token);
    assert_eq!((&claims["user_id"], &claims["sub"]), (&json!(alice.id), &json!(alice.id)));
    assert_eq!((&claims["username"], &claims["role"]), (&json!("alice"), &json!("user")));
    assert_eq!(claims["email"], "alice@example.org");
    assert!(claims["scopes"].as_array().unwrap().contains(&json!("write:progress")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7 * 86_400);
    assert_eq!(claims["nbf"], claims["iat"]);
    let again = account(&login(&mut server.http(), "alice", PASSWORD).json());
    assert_ne!(read(&again.token)["jti"], claims["jti"]);
}

/// A token with three claims is good for a user that exists, on HTTP and TCP, until that user logs out
/// everywhere; that holds over a restart.
#[test]
fn three_claims_are_enough_until_the_first_revocation() {
    let mut server = TestServer::start();
    let alice = server.register("alice");
    let token = signed(Algorithm::HS256, SECRET, &three_claims(&alice));
    assert_eq!(me(&server, &token), 200);
    let mut sync = server.v1();
    assert_eq!(sync.authenticate(&token)["user_id"], json!(alice.id));
    let nobody = Account { id: "user-nobody".into(), username: "nobody".into(), token: String::new() };
    let strange = signed(Algorithm::HS256, SECRET, &three_claims(&nobody));
    assert_eq!(me(&server, &strange), 401);
    let mut refused = server.v1();
    refused.say("auth", json!({"token": strange}));
    refused.expect("auth_failed");
    server.http().post("/api/v1/auth/logout-all", Some(&token), &json!({})).data(200);
    sync.expect_end();
    for restarted in [false, true] {
        if restarted {
            server.restart_with(|_| {});
        }
        assert_eq!((me(&server, &token), me(&server, &alice.token)), (401, 401), "restarted: {restarted}");
        let fresh = account(&login(&mut server.http(), "alice", PASSWORD).json());
        assert_eq!(me(&server, &fresh.token), 200);
    }
}

/// A signature of another key, another algorithm or none, a time that is past or to come, another
/// issuer or subject: all refused alike.
#[test]
fn forgeries_are_refused() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let good = three_claims(&alice);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(Algorithm::HS256, SECRET, &claims)
    };
    let payload = alice.token.split('.').nth(1).unwrap();
    let forged = [
        signed(Algorithm::HS256, "another secret, of a length that would do", &good),
        signed(Algorithm::HS256, "dev-secret-key-change-in-production", &good),
        signed(Algorithm::HS384, SECRET, &good),
        signed(Algorithm::HS512, SECRET, &good),
        // {"alg":"none","typ":"JWT"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.{}", alice.token.split('.').nth(2).unwrap()),
        format!("{}x", alice.token),
        alice.token[..alice.token.len() - 1].to_owned(),
        format!("{}.{payload}", alice.token.split('.').next().unwrap()),
        with("exp", json!(now_s() - 1)),
        with("exp", json!("tomorrow")),
        with("nbf", json!(now_s() + 3600)),
        with("iss", json!("elsewhere")),
        with("sub", json!("somebody-else")),
        with("user_id", json!("")),
        with("user_id", json!(5)),
        with("username", json!("")),
        "x".repeat(10_000),
    ];
    for token in forged {
        assert_eq!(me(&server, &token), 401, "{token:.80}");
        let mut client = server.v2();
        client.try_send(format!("{}\n", json!({"type": "auth", "data": {"token": token}})));
        client.expect("auth_error");
    }
    assert_eq!(me(&server, &with("iss", json!("mangahub"))), 200);
}

/// A session outlives the end of its token's time; a new one can't begin with it.
#[test]
fn a_session_outlives_its_tokens_time() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut claims = three_claims(&alice);
    (claims["iat"], claims["exp"]) = (json!(now_s()), json!(now_s() + 3));
    let token = signed(Algorithm::HS256, SECRET, &claims);
    let mut client = server.session_v1(&Account { token: token.clone(), ..alice });
    await_true("the end of the token's time", || (me(&server, &token) == 401).then_some(()));
    client.expect_nothing();
    let mut late = server.v1();
    late.say("auth", json!({"token": token}));
    late.expect("auth_failed");
}

/// While a token that needs a look-up is checked, what is pipelined behind it waits its turn and is
/// then answered, also when the client has closed its side.
#[test]
fn lines_wait_for_a_token_that_is_looked_up() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let token = signed(Algorithm::HS256, SECRET, &three_claims(&alice));
    let auth = json!({"type": "auth", "data": {"token": token}});
    for mut client in [server.v1(), server.v2()] {
        client.send_raw(format!("{auth}\n{{\"type\":\"ping\"}}\n{{\"type\":\"get_user_progress\"}}\n"));
        client.end();
        client.expect("auth_success");
        client.expect("pong");
        client.expect("progress_list");
        client.expect_end();
    }
}

/// Two `Authorization` fields are as good as none.
#[test]
fn one_token_at_a_time() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let field = format!("Authorization: Bearer {}", alice.token);
    let reply = server.http().request("GET", "/api/v1/users/me", &[&field, &field], b"");
    assert!(reply.status >= 400 && reply.status < 500, "{}", reply.status);
}

// ---- passwords

/// A user logs in by name or address, in either member, whatever the case.
#[test]
fn login_by_name_or_address() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    for body in [
        json!({"username": "alice"}),
        json!({"username": "Alice"}),
        json!({"username": "alice@example.org"}),
        json!({"email": "alice@example.org"}),
        json!({"email": "ALICE@example.org"}),
    ] {
        let mut body = body;
        body["password"] = json!(PASSWORD);
        let reply = http.post("/api/v1/auth/login", None, &body);
        assert_eq!(reply.data(200)["user"]["id"], json!(alice.id), "{body}");
    }
}

/// A wrong password and a user who does not exist get the same answer, to the byte.
#[test]
fn nobody_learns_who_exists() {
    let server = TestServer::start();
    server.register("alice");
    let mut http = server.http();
    let wrong = login(&mut http, "alice", "not it");
    let unknown = login(&mut http, "nobody", "not it");
    let empty = login(&mut http, "", "");
    for reply in [&unknown, &empty] {
        assert_eq!((reply.status, &reply.body), (wrong.status, &wrong.body));
    }
    wrong.refused(401, "UNAUTHORIZED");
}

/// After a few failures the next attempt has to wait, even with the right password, and is told how
/// long; other accounts are not touched, and the pause ends by itself.
#[test]
fn failures_make_the_next_attempt_wait() {
    let server = TestServer::start();
    server.register("alice");
    server.register("bob");
    let mut http = server.http();
    let refusals: Vec<u16> = (0..7).map(|_| login(&mut http, "alice", "not it").status).collect();
    assert_eq!(refusals, [401, 401, 401, 401, 401, 401, 429]);
    let paused = login(&mut http, "ALICE", PASSWORD);
    paused.refused(429, "RATE_LIMITED");
    let seconds: u32 = paused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(login(&mut http, "bob", PASSWORD).status, 200);
    await_true("the end of the pause", || (login(&mut http, "alice", PASSWORD).status == 200).then_some(()));
    assert_eq!(login(&mut http, "alice", "not it").status, 401, "the count starts again");
}

/// Guesses at a password with a stolen token count as they are made, not as they are compared: sent all at
/// once, most of them have to wait.
#[test]
fn guesses_made_at_once_all_count() {
    let server = TestServer::with(|config| config.auth.bcrypt_cost = 10);
    let alice = server.register("alice");
    let token = format!("Authorization: Bearer {}", alice.token);
    let body = json!({"current_password": "a guess", "new_password": "another one"}).to_string();
    let guess = common::http::request("PUT", "/api/v1/users/me/password", &[&token], body.as_bytes());
    let mut clients: Vec<HttpClient> = (0..12).map(|_| server.http()).collect();
    clients.iter_mut().for_each(|client| client.send(&guess));
    let replies: Vec<u16> = clients.iter_mut().map(|client| client.reply().status).collect();
    assert_eq!(replies.iter().filter(|status| **status == 403).count(), 6, "{replies:?}");
    assert_eq!(replies.iter().filter(|status| **status == 429).count(), 6, "{replies:?}");
}

/// When every slow worker is busy and their queue is full, a login is 503 with the time to come back,
/// and everything else is served meanwhile.
#[test]
fn a_full_slow_lane_says_when_to_come_back() {
    let server = TestServer::with(|config| {
        config.auth.bcrypt_cost = 12;
        config.server.slow_workers = 1;
        config.limits.slow_queue_jobs = 1;
    });
    let mut clients: Vec<HttpClient> = (0..8).map(|_| server.http()).collect();
    let body = json!({"username": "nobody", "password": "x"}).to_string();
    for client in &mut clients {
        client.send(common::http::request("POST", "/api/v1/auth/login", &[], body.as_bytes()));
    }
    assert_eq!(server.http().get("/api/v1/manga/akira", None).status, 200);
    let replies: Vec<_> = clients.iter_mut().map(HttpClient::reply).collect();
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!busy.is_empty() && replies.iter().any(|reply| reply.status == 401));
    for reply in busy {
        reply.refused(503, "UNAVAILABLE");
        assert!(reply.header("retry-after").is_some());
    }
}

/// On a closed server nobody registers, and those who have an account log in.
#[test]
fn registration_can_be_closed() {
    let mut server = TestServer::start();
    server.register("alice");
    server.restart_with(|config| config.auth.registration = mangahub::config::Registration::Closed);
    let body = json!({"username": "mallory", "email": "m@example.org", "password": PASSWORD});
    server.http().post("/api/v1/auth/register", None, &body).refused(403, "FORBIDDEN");
    assert_eq!(login(&mut server.http(), "alice", PASSWORD).status, 200);
    assert_eq!(login(&mut server.http(), "mallory", PASSWORD).status, 401);
}

// ---- the secret and the operator's accounts

/// Without a configured secret one is made for its owner's eyes only, and kept: tokens outlive a restart.
#[test]
fn the_secret_is_made_once_and_private() {
    let mut server = TestServer::with(|config| config.auth.secret = None);
    let alice = server.register("alice");
    let file = server.folder().join("secret");
    let secret = std::fs::read(&file).unwrap();
    assert!(secret.len() >= 32);
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    server.restart_with(|config| config.auth.secret = None);
    assert_eq!(mode(), 0o600, "it was opened to others, and is taken back");
    assert_eq!(me(&server, &alice.token), 200);
    assert_eq!(std::fs::read(&file).unwrap(), secret);
    let other = TestServer::with(|config| config.auth.secret = None);
    assert_ne!(std::fs::read(other.folder().join("secret")).unwrap(), secret, "no two are alike");
    assert_eq!(me(&other, &alice.token), 401);
}

fn create_user(folder: &Path, name: &str, role: &str, password: &str) -> std::process::Output {
    let email = format!("{name}@example.org");
    let arguments = ["admin", "create-user", name, "--email", &email, "--role", role, "--password-stdin"];
    run(folder, &[&arguments[..], &["--set", "auth.bcrypt_cost=4"]].concat(), password)
}

/// The operator makes accounts with the server running or not; they log in at once, with their role.
#[test]
fn the_operator_makes_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let made = create_user(folder.path(), "first", "admin", "correct horse\n");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let program = Program::start(folder.path(), &["--set", "auth.registration=closed"]);
    let made = create_user(folder.path(), "second", "user", "correct horse\r\n");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut http = HttpClient::connect(program.address("http"));
    for (name, role) in [("first", "admin"), ("second", "user")] {
        let user = login(&mut http, name, "correct horse").data(200)["user"].clone();
        assert_eq!(user["role"], role);
    }
    let token = login(&mut http, "second", "correct horse").data(200)["token"].as_str().unwrap().to_owned();
    LineClient::connect(program.address("tcp_v1")).authenticate(&token);
    for (name, password, code) in
        [("first", "correct horse", 5), ("third", "short", 2), ("a@b", "correct horse", 2), ("third", "", 2)]
    {
        let refused = create_user(folder.path(), name, "user", password);
        assert_eq!(refused.status.code(), Some(code), "{name}");
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(text.trim_end().lines().count() == 1 && !text.contains(SECRET), "{text}");
    }
}
