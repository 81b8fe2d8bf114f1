//! Friends and lists as clients meet them: what each route shows to whom, and what it refuses.

mod common;

use common::{Account, COMPLETED, ONGOING, TestServer};
use serde_json::{Value, json};

fn read(server: &TestServer, account: &Account, manga: &str, chapter: f64, private: bool) {
    let mut http = server.http();
    let body = json!({"manga_id": manga, "status": "reading", "private": private, "note": "between me and me"});
    http.post("/api/v1/users/library", Some(&account.token), &body);
    let path = format!("/api/v1/users/progress/{manga}");
    let body = json!({"chapter_exact": chapter, "private": private, "note": "between me and me"});
    http.put(&path, Some(&account.token), &body).data(200);
}

fn befriend(server: &TestServer, one: &Account, other: &Account) {
    let mut http = server.http();
    http.post("/api/v1/friends", Some(&one.token), &json!({"username": other.username})).data(201);
    let path = format!("/api/v1/friends/{}/accept", one.username);
    http.json("POST", &path, Some(&other.token), None).data(200);
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["username"].as_str().unwrap()).collect()
}

// ---- friends

/// A request is seen by both, accepted once, and ended by either.
#[test]
fn a_friendship_from_its_beginning_to_its_end() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut http = server.http();
    let asked = http.post("/api/v1/friends", Some(&alice.token), &json!({"username": "BOB"})).data(201);
    assert_eq!((&asked["status"], &asked["friend"]["username"]), (&json!("requested"), &json!("bob")));
    assert_eq!(asked["friend"]["id"], json!(bob.id));
    let outgoing = http.get("/api/v1/friends/requests", Some(&alice.token)).data(200);
    assert_eq!((names(&outgoing["incoming"]), names(&outgoing["outgoing"])), (vec![], vec!["bob"]));
    let incoming = http.get("/api/v1/friends/requests", Some(&bob.token)).json();
    assert_eq!((names(&incoming["data"]["incoming"]), &incoming["meta"]["total"]), (vec!["alice"], &json!(1)));
    let accept = format!("/api/v1/friends/{}/accept", alice.id);
    assert_eq!(http.json("POST", &accept, Some(&bob.token), None).data(200)["status"], "accepted");
    http.json("POST", &accept, Some(&bob.token), None).refused(409, "CONFLICT");
    for (who, friend) in [(&alice, &bob), (&bob, &alice)] {
        let list = http.get("/api/v1/friends", Some(&who.token)).json();
        assert_eq!(list["data"]["items"][0]["id"], json!(friend.id));
        assert!(list["data"]["items"][0]["since"].as_str().unwrap().ends_with('Z'));
        assert_eq!(list["meta"]["total"], 1);
        assert!(!list.to_string().contains("example.org"), "an address is nobody's business: {list}");
    }
    http.json("DELETE", "/api/v1/friends/bob", Some(&alice.token), None).data(200);
    http.json("DELETE", "/api/v1/friends/alice", Some(&bob.token), None).refused(404, "NOT_FOUND");
    assert_eq!(http.get("/api/v1/friends", Some(&bob.token)).data(200)["items"], json!([]));
    http.post("/api/v1/friends", Some(&bob.token), &json!({"username": "alice"})).data(201);
    let back = http.post("/api/v1/friends", Some(&alice.token), &json!({"username": "bob"})).data(200);
    assert_eq!(back["status"], "accepted", "asking back is accepting");
}

/// What can't be asked is refused by its reason, and nothing of a stranger is told.
#[test]
fn friends_refuse_what_cannot_be() {
    let server = TestServer::start();
    let (alice, _bob) = (server.register("alice"), server.register("bob"));
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let mut ask = |body: Value| http.post("/api/v1/friends", token, &body);
    ask(json!({"username": "bob"})).data(201);
    assert_eq!(ask(json!({"username": "bob"})).refused(409, "CONFLICT"), "You have asked already");
    assert_eq!(ask(json!({"username": "nobody"})).refused(404, "NOT_FOUND"), "User not found");
    ask(json!({"username": "bob@example.org"})).refused(404, "NOT_FOUND");
    ask(json!({"username": "' OR 1=1 --"})).refused(404, "NOT_FOUND");
    for wrong in [
        json!({}),
        json!({"username": null}),
        json!({"username": 5}),
        json!({"username": ["bob"]}),
        json!({"username": ""}),
        json!({"username": "   "}),
        json!({"username": "bob\u{0}"}),
        json!({"username": "x".repeat(65)}),
        json!({"username": "Alice"}),
    ] {
        let message = ask(wrong.clone()).refused(400, "BAD_REQUEST");
        assert!(message.starts_with("username: "), "{wrong}: {message}");
    }
    for (method, path, status) in [
        ("POST", "/api/v1/friends/bob/accept", 404),
        ("POST", "/api/v1/friends/alice/accept", 404),
        ("POST", "/api/v1/friends/nobody/accept", 404),
        ("POST", "/api/v1/friends/%00/accept", 400),
        ("DELETE", "/api/v1/friends/nobody", 404),
        ("DELETE", "/api/v1/friends/alice", 404),
        ("DELETE", "/api/v1/friends/%27%20OR%201%3D1%20--", 404),
        ("DELETE", "/api/v1/friends", 405),
        ("GET", "/api/v1/friends?limit=0", 400),
        ("GET", "/api/v1/friends?limit=101", 400),
        ("GET", "/api/v1/friends?limit=x", 400),
        ("GET", "/api/v1/friends?offset=-1", 400),
        ("GET", "/api/v1/friends?offset=4294967295", 200),
        ("GET", "/api/v1/friends/requests?limit=1e9", 400),
        ("GET", "/api/v1/friends/activity?before=0", 400),
        ("GET", "/api/v1/friends/activity?before=9223372036854775808", 400),
        ("GET", "/api/v1/friends/activity?before=9223372036854775807", 200),
        ("GET", "/api/v1/friends/activity?limit=1000", 400),
    ] {
        let reply = http.json(method, path, token, None);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    }
    for (method, path) in [
        ("GET", "/api/v1/friends"),
        ("POST", "/api/v1/friends"),
        ("GET", "/api/v1/friends/requests"),
        ("GET", "/api/v1/friends/activity"),
        ("POST", "/api/v1/friends/bob/accept"),
        ("DELETE", "/api/v1/friends/bob"),
    ] {
        http.json(method, path, None, None).refused(401, "UNAUTHORIZED");
    }
}

/// Friends see what is read in the open, page by page, and neither notes nor what is private now.
#[test]
fn friends_see_what_is_read() {
    let server = TestServer::start();
    let (alice, bob, eve) = (server.register("alice"), server.register("bob"), server.register("eve"));
    befriend(&server, &alice, &bob);
    read(&server, &bob, ONGOING, 5.5, false);
    read(&server, &bob, COMPLETED, 7.0, true);
    read(&server, &eve, COMPLETED, 9.0, false);
    let mut http = server.http();
    let feed = http.get("/api/v1/friends/activity", Some(&alice.token)).json();
    let items = feed["data"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{feed}");
    let first = &items[0];
    assert_eq!(
        (&first["username"], &first["manga_id"], &first["status"]),
        (&json!("bob"), &json!(ONGOING), &json!("reading"))
    );
    assert_eq!((&first["chapter"], &first["chapter_exact"]), (&json!(5), &json!(5.5)));
    assert_eq!(feed["meta"], json!({"count": 2, "complete": true}));
    assert!(!feed.to_string().contains("between me") && !feed.to_string().contains(COMPLETED), "{feed}");
    let page = format!("/api/v1/friends/activity?limit=1&before={}", first["id"]);
    assert_eq!(http.get(&page, Some(&alice.token)).data(200)["items"], json!([items[1]]));
    read(&server, &bob, ONGOING, 6.0, true);
    assert_eq!(http.get("/api/v1/friends/activity", Some(&alice.token)).data(200)["items"], json!([]));
    assert_eq!(http.get("/api/v1/friends/activity", Some(&eve.token)).data(200)["items"], json!([]));
}

// ---- lists

fn list(server: &TestServer, account: &Account, body: Value) -> i64 {
    let made = server.http().post("/api/v1/lists", Some(&account.token), &body).data(201);
    made["list"]["id"].as_i64().unwrap()
}

/// A list is made, filled, ordered anew, shared and deleted.
#[test]
fn a_list_from_its_beginning_to_its_end() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let token = Some(alice.token.as_str());
    let mut http = server.http();
    let made = http.post("/api/v1/lists", token, &json!({"name": " Best of ", "description": "one\ntwo"})).data(201);
    let list = &made["list"];
    assert_eq!((&list["name"], &list["description"]), (&json!("Best of"), &json!("one\ntwo")));
    assert_eq!(
        (&list["visibility"], &list["items_count"], &list["username"]),
        (&json!("private"), &json!(0), &json!("alice"))
    );
    let path = format!("/api/v1/lists/{}", list["id"]);
    let items = format!("{path}/items");
    let added = http.post(&items, token, &json!({"manga_id": ONGOING, "note": "dark"})).data(201);
    assert_eq!((&added["item"]["manga_id"], &added["item"]["position"]), (&json!(ONGOING), &json!(1)));
    http.post(&items, token, &json!({"manga_id": COMPLETED, "position": 1})).data(201);
    http.post(&items, token, &json!({"manga_id": "bleach", "position": 1000})).data(201);
    http.post(&items, token, &json!({"manga_id": ONGOING})).refused(409, "CONFLICT");
    let moved = http.json("PATCH", &format!("{items}/bleach"), token, Some(&json!({"position": 1}))).data(200);
    assert_eq!((&moved["item"]["position"], &moved["item"]["note"]), (&json!(1), &Value::Null));
    let shown = http.get(&path, token).json();
    let slugs = |shown: &Value| -> Vec<String> {
        let items = shown["data"]["items"].as_array().unwrap();
        items.iter().map(|item| item["manga_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slugs(&shown), ["bleach", COMPLETED, ONGOING]);
    assert_eq!((&shown["data"]["items"][2]["note"], &shown["meta"]["total"]), (&json!("dark"), &json!(3)));
    assert_eq!(slugs(&http.get(&format!("{path}?limit=1&offset=2"), token).json()), [ONGOING]);
    http.json("DELETE", &format!("{items}/{COMPLETED}"), token, None).data(200);
    http.json("DELETE", &format!("{items}/{COMPLETED}"), token, None).refused(404, "NOT_FOUND");
    let change = json!({"name": "Better", "visibility": "public"});
    let changed = http.json("PATCH", &path, token, Some(&change)).data(200);
    assert_eq!((&changed["list"]["name"], &changed["list"]["description"]), (&json!("Better"), &json!("one\ntwo")));
    let own = http.get("/api/v1/lists", token).json();
    assert_eq!((&own["data"]["items"][0]["items_count"], &own["meta"]["total"]), (&json!(2), &json!(1)));
    http.json("DELETE", &path, token, None).data(200);
    http.get(&path, token).refused(404, "NOT_FOUND");
}

/// Each list is seen by those it is for; for everybody else it does not exist, and only its owner changes it.
#[test]
fn lists_are_shown_to_whom_they_are_for() {
    let server = TestServer::start();
    let (alice, bob, eve) = (server.register("alice"), server.register("bob"), server.register("eve"));
    befriend(&server, &alice, &bob);
    let levels = ["private", "friends", "public"];
    let ids = levels.map(|level| list(&server, &alice, json!({"name": level, "visibility": level})));
    let mut http = server.http();
    for (who, sees) in [(&alice, &levels[..]), (&bob, &levels[1..]), (&eve, &levels[2..])] {
        for owner in ["alice", "ALICE", alice.id.as_str()] {
            let page = http.get(&format!("/api/v1/users/{owner}/lists"), Some(&who.token)).json();
            let items = page["data"]["items"].as_array().unwrap();
            let mut names: Vec<_> = items.iter().map(|list| list["name"].as_str().unwrap()).collect();
            names.reverse();
            assert_eq!(names, sees, "{owner}");
        }
        for (level, id) in levels.iter().zip(ids) {
            let path = format!("/api/v1/lists/{id}");
            let reply = http.get(&path, Some(&who.token));
            match sees.contains(level) {
                true => drop(reply.data(200)),
                false => assert_eq!(reply.refused(404, "NOT_FOUND"), "List not found"),
            }
            if who.id != alice.id {
                let token = Some(who.token.as_str());
                for (method, path, body) in [
                    ("PATCH", path.clone(), json!({"name": "mine"})),
                    ("DELETE", path.clone(), json!({})),
                    ("POST", format!("{path}/items"), json!({"manga_id": ONGOING})),
                    ("PATCH", format!("{path}/items/{ONGOING}"), json!({"position": 1})),
                    ("DELETE", format!("{path}/items/{ONGOING}"), json!({})),
                ] {
                    http.json(method, &path, token, Some(&body)).refused(404, "NOT_FOUND");
                }
            }
        }
    }
    http.get("/api/v1/users/nobody/lists", Some(&eve.token)).refused(404, "NOT_FOUND");
    http.get(&format!("/api/v1/users/{}/lists", "x".repeat(3000)), Some(&eve.token)).refused(404, "NOT_FOUND");
    http.get("/api/v1/users/alice/lists", None).refused(401, "UNAUTHORIZED");
}

/// What can't be a list, an item or a page is refused by the name of what is wrong.
#[test]
fn lists_refuse_what_cannot_be() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let id = list(&server, &alice, json!({"name": "x"}));
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    http.post(&format!("/api/v1/lists/{id}/items"), token, &json!({"manga_id": ONGOING})).data(201);
    let long = |count: usize| Value::from("界".repeat(count));
    list(&server, &alice, json!({"name": long(100), "description": long(1000)}));
    let lists = "/api/v1/lists".to_owned();
    let one = format!("/api/v1/lists/{id}");
    let items = format!("{one}/items");
    let item = format!("{items}/{ONGOING}");
    for (method, path, body, member) in [
        ("POST", &lists, json!({}), "name"),
        ("POST", &lists, json!({"name": ""}), "name"),
        ("POST", &lists, json!({"name": " \t "}), "name"),
        ("POST", &lists, json!({"name": 7}), "name"),
        ("POST", &lists, json!({"name": long(101)}), "name"),
        ("POST", &lists, json!({"name": "a\nb"}), "name"),
        ("POST", &lists, json!({"name": "a\u{0}"}), "name"),
        ("POST", &lists, json!({"name": "x", "description": long(1001)}), "description"),
        ("POST", &lists, json!({"name": "x", "description": "\u{0}"}), "description"),
        ("POST", &lists, json!({"name": "x", "visibility": "everyone"}), "visibility"),
        ("POST", &lists, json!({"name": "x", "visibility": 1}), "visibility"),
        ("PATCH", &one, json!({"name": ""}), "name"),
        ("PATCH", &one, json!({"visibility": ""}), "visibility"),
        ("POST", &items, json!({}), "manga_id"),
        ("POST", &items, json!({"manga_id": true}), "manga_id"),
        ("POST", &items, json!({"manga_id": "bleach", "position": 0}), "position"),
        ("POST", &items, json!({"manga_id": "bleach", "position": 1001}), "position"),
        ("POST", &items, json!({"manga_id": "bleach", "position": 1.5}), "position"),
        ("POST", &items, json!({"manga_id": "bleach", "note": long(501)}), "note"),
        ("PATCH", &item, json!({"position": "first"}), "position"),
        ("PATCH", &item, json!({"note": ["x"]}), "note"),
    ] {
        let message = http.json(method, path, token, Some(&body)).refused(400, "BAD_REQUEST");
        assert!(message.starts_with(member), "{method} {path} {body}: {message}");
    }
    http.request("POST", &lists, &[&format!("Authorization: Bearer {}", alice.token)], b"{")
        .refused(400, "INVALID_JSON");
    for (method, path, status) in [
        ("GET", "/api/v1/lists/x".to_owned(), 404),
        ("GET", "/api/v1/lists/0".to_owned(), 404),
        ("GET", "/api/v1/lists/-1".to_owned(), 404),
        ("GET", "/api/v1/lists/99999999999999999999".to_owned(), 404),
        ("DELETE", "/api/v1/lists/%27%20OR%201%3D1".to_owned(), 404),
        ("GET", format!("{one}?limit=0"), 400),
        ("GET", format!("{one}?limit=101"), 400),
        ("GET", format!("{one}?offset=4294967295"), 200),
        ("GET", format!("{one}?offset=4294967296"), 400),
        ("GET", format!("{lists}?limit=1e3"), 400),
        ("DELETE", format!("{items}/nothing"), 404),
        ("DELETE", format!("{items}/bleach"), 404),
        ("PATCH", format!("{items}/bleach"), 404),
        ("PUT", one.clone(), 405),
        ("GET", items.clone(), 405),
    ] {
        let reply = http.json(method, &path, token, None);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        assert_eq!(reply.json()["success"], json!(status == 200));
    }
    let unknown = http.post(&items, token, &json!({"manga_id": "nothing"}));
    assert_eq!(unknown.refused(404, "NOT_FOUND"), "Manga not found");
    for (method, path) in [("GET", &lists), ("POST", &lists), ("GET", &one), ("PATCH", &one), ("DELETE", &one)] {
        http.json(method, path, None, None).refused(401, "UNAUTHORIZED");
    }
    for (method, path) in [("POST", &items), ("PATCH", &item), ("DELETE", &item)] {
        http.json(method, path, None, None).refused(401, "UNAUTHORIZED");
    }
}
