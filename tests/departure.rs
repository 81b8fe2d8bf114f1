//! Leaving for good, and taking everything along: nothing of whoever has left is anywhere, and what was taken has
//! all of it.

mod common;

use std::thread;

use common::accounts::{database, login, me, now_s, refresh, refused, signed, tokens};
use common::http::{HttpClient, Reply, request};
use common::line::LineClient;
use common::{Account, COMPLETED, ONGOING, PASSWORD, Program, TestServer, await_true, run};
use serde_json::{Value, json};

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

/// Changes of the one series that somebody has, numbered from 1000 to `last`.
fn make_history(server: &TestServer, account: &Account, last: u32) {
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
         INSERT INTO history SELECT n, '{0}', manga_id, 0, 0, 0, 'reading', '', 0, 0, nullif(n - 1, 999)
         FROM numbers, (SELECT manga_id FROM progress WHERE user_id = '{0}');
         UPDATE progress SET history_seq = {last} WHERE user_id = '{0}';",
        account.id
    );
    database(server).execute_batch(&sql).unwrap();
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
    make_history(&server, &alice, 30_000);
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
    make_history(&server, &alice, 3499);
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
