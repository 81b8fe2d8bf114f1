//! Accounts over both families: refresh tokens, leaving for good, taking everything along, and what every
//! one of these routes says to whoever sends it nonsense.

mod common;

use std::path::PathBuf;
use std::thread;

use common::http::{HttpClient, Reply, request};
use common::line::LineClient;
use common::{Account, COMPLETED, ONGOING, PASSWORD, Program, SECRET, TestServer, await_true, run};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What a login of the second family gave.
#[derive(Debug, Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

fn tokens(reply: &Reply) -> Tokens {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

fn login(server: &TestServer, username: &str, password: &str) -> Reply {
    server.http().post("/auth/login", None, &json!({"username": username, "password": password}))
}

fn refresh(server: &TestServer, token: &str) -> Reply {
    server.http().post("/auth/refresh", None, &json!({"refresh_token": token}))
}

/// Asserts a refusal in the second family's shape.
#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!((reply.status, &reply.json()), (status, &json!({"error": error})));
}

fn me(server: &TestServer, token: &str) -> u16 {
    server.http().get("/api/v1/users/me", Some(token)).status
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A token that some tool made.
fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn database(server: &TestServer) -> Connection {
    let conn = Connection::open(server.folder().join("mangahub.db")).unwrap();
    conn.busy_timeout(common::DEADLINE).unwrap();
    conn
}

/// How many rows name somebody: in whichever column of whichever table, but for the list of those who were
/// deleted.
fn rows_of(server: &TestServer, id: &str) -> i64 {
    let conn = database(server);
    let mut statement = conn
        .prepare(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%' AND tables.name <> 'deleted_users'",
        )
        .unwrap();
    let columns = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let count = |(table, column): (String, String)| -> i64 {
        conn.query_row(&format!("SELECT count(*) FROM {table} WHERE {column} = ?1"), [id], |row| row.get(0)).unwrap()
    };
    columns.map(Result::unwrap).map(count).sum()
}

fn read_on(http: &mut HttpClient, token: &str, slug: &str, chapter: i64) {
    http.put(&format!("/api/v1/users/progress/{slug}"), Some(token), &json!({"current_chapter": chapter})).data(200);
}

fn add(server: &TestServer, token: &str, slug: &str) {
    let body = json!({"manga_id": slug, "status": "reading"});
    server.http().post("/api/v1/users/library", Some(token), &body).data(201);
}

fn delete(server: &TestServer, token: &str, password: &str) -> Reply {
    server.http().json("DELETE", "/api/v1/users/me", Some(token), Some(&json!({"password": password})))
}

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

// ---- leaving

/// Whoever leaves is gone at once: sessions end, tokens of every kind are void, the name is free. What they
/// read is erased soon after, and nobody else's.
#[test]
fn an_account_is_deleted() {
    let mut server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for account in [&alice, &bob] {
        for slug in [ONGOING, COMPLETED] {
            add(&server, &account.token, slug);
            let body = json!({"current_chapter": 3, "rating": 9, "note": "mine"});
            server.http().put(&format!("/api/v1/users/progress/{slug}"), Some(&account.token), &body).data(200);
        }
        let path = format!("/api/v1/users/progress/{COMPLETED}");
        server.http().json("DELETE", &path, Some(&account.token), None).data(200);
    }
    let refresh_token = tokens(&login(&server, "alice", PASSWORD)).refresh;
    let three_claims = signed(&json!({"user_id": alice.id, "username": "alice", "exp": now_s() + 3600}));
    let made = signed(&json!({"user_id": alice.id, "username": "alice", "exp": now_s() + 3600, "iat": now_s() - 60}));
    let (mut v1, mut v2) = (server.session_v1(&alice), server.session_v2(&alice));
    let mut bystander = server.session_v1(&bob);
    let bobs_rows = rows_of(&server, &bob.id);
    assert_eq!(rows_of(&server, &alice.id), bobs_rows + 1);

    let done = delete(&server, &alice.token, PASSWORD);
    assert_eq!(done.data(200), json!({"message": "Account deleted"}));
    v1.expect_end();
    v2.expect_end();
    bystander.expect_nothing();
    for restarted in [false, true] {
        if restarted {
            server.restart_with(|_| {});
        }
        for token in [&alice.token, &three_claims, &made] {
            assert_eq!(me(&server, token), 401);
            let reply = server.http().put(
                &format!("/api/v1/users/progress/{ONGOING}"),
                Some(token),
                &json!({"current_chapter": 4}),
            );
            reply.refused(401, "UNAUTHORIZED");
            let mut session = server.v1();
            session.say("auth", json!({"token": token}));
            session.expect("auth_failed");
        }
        let gone = refresh(&server, &refresh_token);
        assert_eq!(gone.status, 401, "{}", gone.text());
        refused(&login(&server, "alice", PASSWORD), 401, "invalid credentials");
        refused(&login(&server, &format!("deleted:{}", alice.id), ""), 401, "invalid credentials");
        await_true("the end of every row", || (rows_of(&server, &alice.id) == 0).then_some(()));
    }
    assert_eq!(rows_of(&server, &bob.id), bobs_rows);
    assert_eq!(me(&server, &bob.token), 200);
    let again = server.register("alice");
    assert_ne!(again.id, alice.id);
    assert_eq!(server.http().get("/api/v1/users/library", Some(&again.token)).data(200)["items"], json!([]));
}

/// Something of everything that a user can have: read, rated, said, listed and aimed at.
fn do_everything(server: &TestServer, account: &Account, rating: i64) {
    let (mut http, token) = (server.http(), Some(account.token.as_str()));
    add(server, &account.token, ONGOING);
    let review = json!({"text": "mine", "rating": rating});
    http.put(&format!("/api/v1/manga/{ONGOING}/reviews/mine"), token, &review).data(200);
    let manga = &http.get(&format!("/api/v1/manga/{ONGOING}"), None).data(200)["manga"]["key"];
    let said = http.post(&format!("/api/manga/{manga}/comments"), token, &json!({"content": "mine"}));
    assert_eq!(said.status, 201, "{}", said.text());
    let list = &http.post("/api/v1/lists", token, &json!({"name": "mine", "visibility": "public"})).data(201)["list"];
    let item = json!({"manga_id": ONGOING, "note": "mine"});
    http.post(&format!("/api/v1/lists/{}/items", list["id"]), token, &item).data(201);
    http.put("/api/v1/users/goals/week", token, &json!({"target": 5})).data(200);
}

/// Two users have everything and each finds helpful what the other wrote. What one takes along has all of it;
/// when they have left nothing of it is anywhere, and what ratings and votes add up to is the other's.
#[test]
fn everything_of_a_user_comes_along_and_goes() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut http = server.http();
    for (account, rating) in [(&alice, 2), (&bob, 9)] {
        do_everything(&server, account, rating);
    }
    http.post("/api/v1/friends", Some(&bob.token), &json!({"username": "alice"})).data(201);
    http.post("/api/v1/friends", Some(&alice.token), &json!({"username": "bob"})).data(200);
    let reviews = format!("/api/v1/manga/{ONGOING}/reviews");
    for review in http.get(&reviews, None).data(200)["items"].as_array().unwrap() {
        let other = if review["user"]["id"] == json!(alice.id) { &bob } else { &alice };
        let path = format!("/api/v1/reviews/{}/helpful", review["id"]);
        http.json("PUT", &path, Some(&other.token), None).data(200);
    }

    let data = http.get("/api/v1/users/me/export", Some(&alice.token)).data(200);
    let only = |section: &str| {
        assert_eq!((data[section]["items"].as_array().unwrap().len(), &data[section]["next"]), (1, &Value::Null));
        data[section]["items"][0].clone()
    };
    for section in ["progress", "ratings", "history", "comments", "reviews", "review_votes"] {
        assert_eq!(only(section)["manga_id"], ONGOING, "{section}");
    }
    assert_eq!((&only("comments")["content"], &only("reviews")["text"]), (&json!("mine"), &json!("mine")));
    assert_eq!((&only("reviews")["rating"], &only("reviews")["helpful"]), (&json!(2), &json!(1)));
    let friend = only("friends");
    assert_eq!((&friend["username"], &friend["status"]), (&json!("bob"), &json!("friends")));
    assert_eq!(friend["asked_by_me"], json!(false));
    let list = only("lists");
    assert_eq!((&list["name"], &list["items"][0]["manga_id"]), (&json!("mine"), &json!(ONGOING)));
    assert_eq!((&only("goals")["period"], &only("goals")["target"]), (&json!("week"), &json!(5)));

    delete(&server, &alice.token, PASSWORD).data(200);
    await_true("the end of every row", || (rows_of(&server, &alice.id) == 0).then_some(()));
    let left = http.get(&reviews, None).data(200)["items"].clone();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["helpful"]), (1, &json!(0)));
    let rating = http.get(&format!("/api/v1/manga/{ONGOING}/rating"), Some(&bob.token)).data(200)["rating"].clone();
    assert_eq!((&rating["average_rating"], &rating["total_ratings"]), (&json!(9.0), &json!(1)));
    let data = http.get("/api/v1/users/me/export", Some(&bob.token)).data(200);
    let left = |section: &str| data[section]["items"].as_array().unwrap().len();
    assert_eq!((left("friends"), left("review_votes")), (0, 0), "these took two");
    assert!(["comments", "reviews", "lists", "goals"].iter().all(|section| left(section) == 1), "{data}");
    let items: i64 = database(&server).query_row("SELECT count(*) FROM list_items", [], |row| row.get(0)).unwrap();
    assert_eq!(items, 1);
}

/// What is shown of a series is kept once it was made. The server looks again when another process has
/// written, and when it has itself erased what may have been ratings.
#[test]
fn erasing_forgets_what_was_kept() {
    let server = TestServer::start();
    let alice = server.register("alice");
    do_everything(&server, &alice, 8);
    let shown = || {
        let data = server.http().get(&format!("/api/v1/manga/{ONGOING}"), None).data(200);
        data["manga"]["description"].as_str().unwrap().to_owned()
    };
    shown();
    database(&server)
        .execute_batch(&format!(
            "CREATE TRIGGER tell AFTER DELETE ON ratings
             BEGIN UPDATE manga SET description = 'erased' WHERE id = old.manga_id; END;
             UPDATE manga SET description = 'written' WHERE slug = '{ONGOING}';"
        ))
        .unwrap();
    await_true("a look at what another wrote", || (shown() == "written").then_some(()));
    delete(&server, &alice.token, PASSWORD).data(200);
    await_true("a look at what was erased", || (shown() == "erased").then_some(()));
}

/// Long lists come in parts, each list whole; friends are found again by how many were shown.
#[test]
fn lists_and_friends_come_in_parts() {
    let server = TestServer::start();
    let alice = server.register("alice");
    database(&server)
        .execute_batch(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2499)
             INSERT INTO users SELECT 'friend-' || n, 'friend-' || n, 'friend-' || n, 'x', 'user', 0, 0 FROM numbers;
             INSERT INTO friendships SELECT min(id, '{0}'), max(id, '{0}'), 1, 5, 6 FROM users WHERE id LIKE 'friend-%';
             INSERT INTO lists SELECT value, '{0}', 'l', '', 'private', 0, 0 FROM json_each('[1,2,3,4,5,6,7,8,9]');
             INSERT INTO list_items SELECT lists.id, manga.id, manga.id, NULL, 0 FROM lists, manga;",
            alice.id
        ))
        .unwrap();
    let mut http = server.http();
    let mut rows = |section: &str| {
        let mut path = format!("/api/v1/users/me/export?section={section}");
        let mut seen: Vec<Value> = Vec::new();
        for _ in 0..10 {
            let part = http.get(&path, Some(&alice.token)).data(200)[section].clone();
            seen.extend(part["items"].as_array().unwrap().iter().cloned());
            match part["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => return seen,
            }
        }
        panic!("there is no end");
    };
    let friends = rows("friends");
    let names: Vec<String> = friends.iter().map(|row| row["username"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (1000..2500).map(|n| format!("friend-{n}")).collect::<Vec<_>>());
    let lists = rows("lists");
    assert_eq!(lists.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), (1..10).collect::<Vec<_>>());
    assert!(lists.iter().all(|row| row["items"].as_array().unwrap().len() as i64 == row["items_count"]), "none is cut");
}

/// A long history goes in many small jobs: while it does, everybody else is served, and a server that is
/// stopped in the middle goes on when it starts again.
#[test]
fn a_long_history_is_erased_in_pieces() {
    let mut server = TestServer::unmetered();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    add(&server, &alice.token, ONGOING);
    add(&server, &bob.token, ONGOING);
    let conn = database(&server);
    conn.execute_batch(&format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30000)
         INSERT INTO history SELECT n, '{0}', manga_id, 0, 0, 0, 'reading', '', 0, 0, nullif(n - 1, 999)
         FROM numbers, (SELECT manga_id FROM progress WHERE user_id = '{0}');
         UPDATE progress SET history_seq = 30000 WHERE user_id = '{0}';",
        alice.id
    ))
    .unwrap();
    drop(conn);
    delete(&server, &alice.token, PASSWORD).data(200);
    let mut http = server.http();
    await_true("the beginning", || (rows_of(&server, &alice.id) < 29_000).then_some(()));
    read_on(&mut http, &bob.token, ONGOING, 1);
    server.restart_with(|_| {});
    let mut chapter = 1;
    let mut http = server.http();
    await_true("the end of every row", || {
        chapter += 1;
        read_on(&mut http, &bob.token, ONGOING, chapter);
        // The first row of the chain was not part of what was put in.
        (rows_of(&server, &alice.id) <= 1).then_some(())
    });
}

/// It takes the password, whatever token is shown, and guesses wait.
#[test]
fn leaving_takes_the_password() {
    let server = TestServer::start();
    let alice = server.register("alice");
    for _ in 0..6 {
        delete(&server, &alice.token, "not it").refused(403, "FORBIDDEN");
    }
    delete(&server, &alice.token, PASSWORD).refused(429, "RATE_LIMITED");
    assert_eq!(me(&server, &alice.token), 200);
    server
        .http()
        .json("DELETE", "/api/v1/users/me", None, Some(&json!({"password": PASSWORD})))
        .refused(401, "UNAUTHORIZED");
}

/// While an account is being deleted twice at the same time, one succeeds and nothing fails.
#[test]
fn leaving_twice_at_once() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let body = json!({"password": PASSWORD}).to_string();
    let field = format!("Authorization: Bearer {}", alice.token);
    let mut clients: Vec<HttpClient> = (0..4).map(|_| server.http()).collect();
    for client in &mut clients {
        client.send(request("DELETE", "/api/v1/users/me", &[&field], body.as_bytes()));
    }
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.reply().status).collect();
    assert!(statuses.contains(&200) && statuses.iter().all(|status| *status < 500), "{statuses:?}");
    await_true("the end of every row", || (rows_of(&server, &alice.id) == 0).then_some(()));
}

/// The operator deletes accounts at the machine, with the server running or not: sessions end, tokens are
/// void, and nobody is deleted by mistake.
#[test]
fn the_operator_deletes_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let mut http = HttpClient::connect(program.address("http"));
    let register = |http: &mut HttpClient, name: &str| {
        let body = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
        common::account(&http.post("/api/v1/auth/register", None, &body).json())
    };
    let (alice, bob) = (register(&mut http, "alice"), register(&mut http, "bob"));
    let mut session = LineClient::connect(program.address("tcp_v1"));
    session.authenticate(&alice.token);
    let delete = |arguments: &[&str]| run(folder.path(), &[&["admin", "delete-user"], arguments].concat(), "");
    for (arguments, code) in [(&["alice"][..], 2), (&["nobody", "--yes"], 4), (&["", "--yes"], 4)] {
        assert_eq!(delete(arguments).status.code(), Some(code), "{arguments:?}");
    }
    session.expect_nothing();
    let done = delete(&["ALICE@example.org", "--yes"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8(done.stdout).unwrap().contains(&alice.id));
    session.expect_end();
    assert_eq!(http.get("/api/v1/users/me", Some(&alice.token)).status, 401);
    assert_eq!(http.get("/api/v1/users/me", Some(&bob.token)).status, 200);
    drop((http, program));
    assert!(delete(&["bob", "--yes"]).status.success());
    assert_eq!(delete(&["bob", "--yes"]).status.code(), Some(4));
}

// ---- taking along

/// Everything of one's own, as a file: the account, each row of progress, the ratings, the history.
#[test]
fn an_export_has_everything() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for (account, note) in [(&alice, "mine"), (&bob, "not yours")] {
        add(&server, &account.token, ONGOING);
        let body = json!({"chapter_exact": 5.5, "rating": 8, "note": note, "private": true});
        server.http().put(&format!("/api/v1/users/progress/{ONGOING}"), Some(&account.token), &body).data(200);
    }
    let mut sync = server.session_v1(&alice);
    sync.say("progress", json!({"manga_id": COMPLETED, "current_chapter": 2, "device": "phone"}));
    sync.expect("broadcast");

    let reply = server.http().get("/api/v1/users/me/export", Some(&alice.token));
    let data = reply.data(200);
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"mangahub-export.json\""));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(!reply.text().contains("not yours") && !reply.text().contains("password") && !reply.text().contains("bob"));
    assert_eq!(
        (&data["account"]["username"], &data["account"]["email"]),
        (&json!("alice"), &json!("alice@example.org"))
    );
    let progress = data["progress"]["items"].as_array().unwrap();
    let row = |slug: &str| progress.iter().find(|row| row["manga_id"] == slug).unwrap();
    assert_eq!((&row(ONGOING)["in_library"], &row(COMPLETED)["in_library"]), (&json!(true), &json!(false)));
    assert_eq!((&row(ONGOING)["chapter_exact"], &row(ONGOING)["note"]), (&json!(5.5), &json!("mine")));
    let ratings = data["ratings"]["items"].as_array().unwrap();
    assert_eq!((ratings.len(), &ratings[0]["manga_id"], &ratings[0]["rating"]), (1, &json!(ONGOING), &json!(8)));
    let history = data["history"]["items"].as_array().unwrap();
    let told: Vec<_> = history.iter().map(|row| row["manga_id"].as_str().unwrap()).collect();
    assert_eq!(told, [COMPLETED, ONGOING, ONGOING]);
    for section in ["progress", "ratings", "history"] {
        assert_eq!(data[section]["next"], Value::Null);
    }
    server.http().get("/api/v1/users/me/export", None).refused(401, "UNAUTHORIZED");
}

/// What is long comes in parts: each says where the next one is, and together they have every row once.
#[test]
fn a_long_export_comes_in_parts() {
    let server = TestServer::start();
    let alice = server.register("alice");
    add(&server, &alice.token, ONGOING);
    database(&server)
        .execute_batch(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3499)
             INSERT INTO history SELECT n, '{0}', manga_id, 0, 0, 0, 'reading', '', 0, 0, nullif(n - 1, 999)
             FROM numbers, (SELECT manga_id FROM progress WHERE user_id = '{0}');
             UPDATE progress SET history_seq = 3499 WHERE user_id = '{0}';",
            alice.id
        ))
        .unwrap();
    let mut http = server.http();
    let mut path = "/api/v1/users/me/export".to_owned();
    let mut seen = Vec::new();
    for part in 0.. {
        assert!(part < 10, "there is no end");
        let data = http.get(&path, Some(&alice.token)).data(200);
        let rows = data["history"]["items"].as_array().unwrap();
        assert!(rows.len() <= 1000);
        seen.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        assert_eq!(data.get("progress").is_some(), part == 0, "later parts are of one section");
        match data["history"]["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (1000..3500).rev().collect::<Vec<i64>>());
    for (query, member) in [
        ("section=nonsense", "section"),
        ("after=5", "section"),
        ("section=history&after=0", "after"),
        ("section=history&after=-1", "after"),
        ("section=history&after=x", "after"),
        ("section=history&after=99999999999999999999", "after"),
        ("section=%00&after=1", "section"),
        ("section=history'%20OR%201=1--", "section"),
    ] {
        let message =
            http.get(&format!("/api/v1/users/me/export?{query}"), Some(&alice.token)).refused(400, "BAD_REQUEST");
        assert!(message.starts_with(member), "{query}: {message}");
    }
    let end = http.get(&format!("/api/v1/users/me/export?section=progress&after={}", i64::MAX), Some(&alice.token));
    assert_eq!(end.data(200)["progress"], json!({"items": [], "next": null}));
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

// ---- how the server is

/// Both say how each part is, to anybody, and nothing else.
#[test]
fn the_parts_are_shown() {
    let server = TestServer::start();
    let parts = json!({"store": "ok", "writer": "ok", "reactor": "ok"});
    let mut http = server.http();
    for slash in ["", "/"] {
        let reply = http.get(&format!("/check-conn{slash}"), None);
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"ok": true, "message": "api server running", "parts": parts}))
        );
        let reply = http.get(&format!("/db-ping{slash}"), None);
        assert_eq!((reply.status, reply.json()), (200, json!({"ok": true, "parts": parts})));
    }
    assert_eq!(http.request("HEAD", "/check-conn", &[], b"").status, 200);
    let reply = http.post("/db-ping", None, &json!({}));
    refused(&reply, 405, "This path does not take this method");
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
}

/// A database that is moved away can't be written to: `/db-ping` says which part it is, `/check-conn` that
/// the server runs; and when the file is back all is well.
#[test]
fn a_broken_part_is_shown() {
    let server = TestServer::start();
    let (here, there) = (server.folder().join("mangahub.db"), server.folder().join("elsewhere.db"));
    std::fs::rename(&here, &there).unwrap();
    let mut http = server.http();
    let reply = await_true("the failure", || Some(http.get("/db-ping", None)).filter(|reply| reply.status != 200));
    let parts = json!({"store": "ok", "writer": "down", "reactor": "ok"});
    assert_eq!(
        (reply.status, reply.json()),
        (500, json!({"ok": false, "error": "the writer is down", "parts": parts}))
    );
    let reply = http.get("/check-conn", None);
    assert_eq!((reply.status, &reply.json()["parts"]), (200, &parts));
    std::fs::rename(&there, &here).unwrap();
    await_true("the recovery", || (http.get("/db-ping", None).status == 200).then_some(()));
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

/// Many users at once log in, refresh and leave: each is answered as if alone.
#[test]
fn many_come_and_go() {
    let server = TestServer::with(|config| config.limits.slow_queue_jobs = 1000);
    let stay = server.register("stay");
    thread::scope(|scope| {
        for number in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let account: Account = server.register(&format!("guest-{number}"));
                let mut pair = tokens(&login(server, &account.username, PASSWORD));
                for _ in 0..20 {
                    pair = tokens(&refresh(server, &pair.refresh));
                }
                add(server, &pair.access, ONGOING);
                delete(server, &pair.access, PASSWORD).data(200);
                assert_eq!(me(server, &pair.access), 401);
                assert_eq!(refresh(server, &pair.refresh).status, 401);
            });
        }
    });
    await_true("only one is left", || {
        let left: i64 = database(&server).query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
        (left == 1).then_some(())
    });
    assert_eq!(me(&server, &stay.token), 200);
    let readers: i64 = database(&server).query_row("SELECT sum(readers) FROM manga", [], |row| row.get(0)).unwrap();
    assert_eq!(readers, 0);
}
