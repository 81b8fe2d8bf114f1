//! What readers think, as both families' clients say it and hear it: ratings, comments, reviews with
//! their votes; and what is refused on each of those routes.

mod common;

use common::http::{HttpClient, Reply};
use common::{Account, COMPLETED, ONGOING, PASSWORD, TestServer, account, run};
use serde_json::{Value, json};

/// A server with two readers, and the key of [`ONGOING`].
fn two_readers() -> (TestServer, Account, Account, i64) {
    let server = TestServer::unmetered();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let key = key(&server, ONGOING);
    (server, alice, bob, key)
}

fn key(server: &TestServer, slug: &str) -> i64 {
    server.http().get(&format!("/api/v1/manga/{slug}"), None).data(200)["manga"]["key"].as_i64().unwrap()
}

/// An administrator, made as the operator makes one.
fn admin(server: &TestServer) -> Account {
    let made = run(
        server.folder(),
        &[
            "admin",
            "create-user",
            "root",
            "--email",
            "root@example.org",
            "--role",
            "admin",
            "--password-stdin",
            "--set",
            "auth.bcrypt_cost=4",
            "--set",
            "store.url=sqlite:./mangahub.db",
        ],
        PASSWORD,
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let login = json!({"username": "root", "password": PASSWORD});
    account(&server.http().post("/api/v1/auth/login", None, &login).json())
}

/// One user's requests.
struct As<'a> {
    http: HttpClient,
    token: Option<&'a str>,
}

impl<'a> As<'a> {
    fn user(server: &TestServer, account: &'a Account) -> Self {
        Self { http: server.http(), token: Some(&account.token) }
    }

    fn nobody(server: &TestServer) -> Self {
        Self { http: server.http(), token: None }
    }

    fn asks(&mut self, method: &str, path: &str, body: Value) -> Reply {
        let body = (!body.is_null()).then_some(body);
        self.http.json(method, path, self.token, body.as_ref())
    }

    fn gets(&mut self, path: &str) -> Reply {
        self.asks("GET", path, Value::Null)
    }
}

/// Asserts the second family's status and refusal.
#[track_caller]
fn refused(reply: &Reply, status: u16, message: &str) {
    assert_eq!((reply.status, reply.json()), (status, json!({"error": message})));
}

/// Asserts the status and gives the second family's body.
#[track_caller]
fn body(reply: Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    reply.json()
}

#[track_caller]
fn fields(value: &Value, expected: &[&str]) {
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, expected);
}

// ---- ratings

/// The second family's ratings from the first to the last: given, shown, changed, listed, taken back.
#[test]
fn ratings_are_given_and_taken_back() {
    let (server, alice, bob, key) = two_readers();
    let (mut alice, mut bob) = (As::user(&server, &alice), As::user(&server, &bob));
    let path = format!("/api/manga/{key}/ratings");
    let (average, me) = (format!("{path}/average"), format!("{path}/me"));
    let empty = json!({"data": [], "page": 1, "page_size": 20, "total": 0, "total_pages": 0});
    assert_eq!(body(alice.gets(&path), 200), empty);
    assert_eq!(body(alice.gets(&average), 200), json!({"average_rating": 0.0, "total_ratings": 0}));
    refused(&alice.gets(&me), 404, "rating not found");
    refused(&alice.asks("DELETE", &path, Value::Null), 404, "rating not found");

    let given = body(alice.asks("POST", &path, json!({"rating": 7})), 200);
    fields(&given, &["username", "rating", "created_at", "updated_at"]);
    assert_eq!((&given["username"], &given["rating"]), (&json!("alice"), &json!(7)));
    let mine = body(alice.gets(&me), 200);
    fields(&mine, &["rating", "created_at", "updated_at"]);
    assert_eq!(mine["created_at"], given["created_at"]);
    let again = body(alice.asks("POST", &path, json!({"rating": 10})), 200);
    assert_eq!((&again["rating"], &again["created_at"]), (&json!(10), &given["created_at"]));
    body(bob.asks("POST", &format!("{path}/"), json!({"rating": 5})), 200);
    assert_eq!(body(bob.gets(&average), 200), json!({"average_rating": 7.5, "total_ratings": 2}));

    let first = body(bob.gets(&format!("{path}?page=1&page_size=1")), 200);
    assert_eq!((&first["total"], &first["total_pages"], &first["page_size"]), (&json!(2), &json!(2), &json!(1)));
    let second = body(bob.gets(&format!("{path}?page=2&page_size=1")), 200);
    let rated = |page: &Value| page["data"][0]["username"].as_str().unwrap().to_owned();
    let mut raters = [rated(&first), rated(&second)];
    raters.sort_unstable();
    assert_eq!((raters, &second["page"]), (["alice".to_owned(), "bob".to_owned()], &json!(2)));

    let deleted = body(alice.asks("DELETE", &path, Value::Null), 200);
    assert_eq!(deleted, json!({"message": "Rating deleted successfully"}));
    assert_eq!(body(alice.gets(&average), 200), json!({"average_rating": 5.0, "total_ratings": 1}));
}

/// However a rating is written, over either family, over sync, with a review, the average is what
/// counting gives.
#[test]
fn the_average_follows_every_way_of_rating() {
    let (server, alice, bob, key) = two_readers();
    let mut session = server.session_v1(&bob);
    let (mut a, mut b) = (As::user(&server, &alice), As::user(&server, &bob));
    let path = format!("/api/manga/{key}/ratings");
    let mut is = |ratings: &[i64]| {
        let average = if ratings.is_empty() { 0.0 } else { ratings.iter().sum::<i64>() as f64 / ratings.len() as f64 };
        let shown = body(b.gets(&format!("{path}/average")), 200);
        assert_eq!(shown, json!({"average_rating": average, "total_ratings": ratings.len()}));
        let standing = b.gets(&format!("/api/v1/manga/{ONGOING}/rating")).data(200)["rating"].clone();
        let expected = if ratings.is_empty() { Value::Null } else { json!(average) };
        assert_eq!((&standing["average_rating"], &standing["total_ratings"]), (&expected, &json!(ratings.len())));
    };
    is(&[]);
    a.asks("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    a.asks("PUT", &format!("/api/v1/users/progress/{ONGOING}"), json!({"rating": 3})).data(200);
    session.expect("broadcast");
    is(&[3]);
    session.say("progress", json!({"manga_id": ONGOING, "current_chapter": 2, "rating": 9}));
    session.expect("broadcast");
    is(&[3, 9]);
    a.asks("POST", &path, json!({"rating": 4}));
    is(&[4, 9]);
    a.asks("PUT", &format!("/api/v1/manga/{ONGOING}/rating"), json!({"rating": 1})).data(200);
    is(&[1, 9]);
    let review = json!({"rating": 10, "text": "Better than I thought."});
    a.asks("PUT", &format!("/api/v1/manga/{ONGOING}/reviews/mine"), review).data(200);
    is(&[10, 9]);
    a.asks("PUT", &format!("/api/v1/manga/{ONGOING}/reviews/mine"), json!({"text": "So."})).data(200);
    a.asks("DELETE", &format!("/api/v1/users/progress/{ONGOING}"), Value::Null).data(200);
    is(&[10, 9]);
    a.asks("DELETE", &format!("/api/v1/manga/{ONGOING}/rating"), Value::Null).data(200);
    is(&[9]);
}

/// A rating by somebody whose progress is private is counted, and nobody is shown whose it is.
#[test]
fn private_readers_are_counted_and_not_listed() {
    let (server, alice, bob, key) = two_readers();
    let (mut alice, mut bob) = (As::user(&server, &alice), As::user(&server, &bob));
    let path = format!("/api/manga/{key}/ratings");
    alice.asks("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading", "private": true}));
    alice.asks("POST", &path, json!({"rating": 10}));
    bob.asks("POST", &path, json!({"rating": 4}));
    let page = body(bob.gets(&path), 200);
    assert_eq!((&page["total"], &page["data"][0]["username"]), (&json!(1), &json!("bob")));
    assert_eq!(body(bob.gets(&format!("{path}/average")), 200)["average_rating"], json!(7.0));
    assert_eq!(body(alice.gets(&format!("{path}/me")), 200)["rating"], 10);
}

/// The first family's rating: the caller's own beside the average, `null` where there is none.
#[test]
fn a_rating_stands_beside_the_average() {
    let (server, alice, bob, key) = two_readers();
    let (mut alice, mut bob) = (As::user(&server, &alice), As::user(&server, &bob));
    let path = format!("/api/v1/manga/{ONGOING}/rating");
    let none = json!({"rating": {"manga_id": ONGOING, "manga_key": key, "rating": null, "created_at": null,
        "updated_at": null, "average_rating": null, "total_ratings": 0}});
    assert_eq!(alice.gets(&path).data(200), none);
    let given = alice.asks("PUT", &path, json!({"rating": 8})).data(200);
    assert_eq!((&given["rating"]["rating"], &given["rating"]["average_rating"]), (&json!(8), &json!(8.0)));
    assert_eq!(alice.gets(&format!("/api/v1/manga/{key}/rating")).data(200), given);
    let seen = bob.gets(&path).data(200);
    assert_eq!((&seen["rating"]["rating"], &seen["rating"]["total_ratings"]), (&json!(null), &json!(1)));
    alice.asks("DELETE", &path, Value::Null).data(200);
    let message = alice.asks("DELETE", &path, Value::Null).refused(404, "NOT_FOUND");
    assert_eq!(message, "Rating not found");
    assert_eq!(alice.gets(&path).data(200), none);
}

// ---- comments

/// Comments from the first to the last: posted, shown, edited, listed below the series and by their
/// author, deleted; never by somebody else, unless an administrator.
#[test]
fn comments_are_their_authors() {
    let (server, alice, bob, key) = two_readers();
    let root = admin(&server);
    let author = alice.id.clone();
    let (mut alice, mut bob, mut root) = (As::user(&server, &alice), As::user(&server, &bob), As::user(&server, &root));
    let below = format!("/api/manga/{key}/comments");
    let posted = body(alice.asks("POST", &below, json!({"content": "First!"})), 201);
    fields(&posted, &["id", "user_id", "manga_id", "username", "content", "created_at", "updated_at"]);
    assert_eq!((&posted["user_id"], &posted["manga_id"]), (&json!(author), &json!(key)));
    assert_eq!((&posted["username"], &posted["content"]), (&json!("alice"), &json!("First!")));
    let one = format!("/api/manga/comments/{}", posted["id"]);
    assert_eq!(body(bob.gets(&one), 200), posted);
    let edited = body(alice.asks("PUT", &one, json!({"content": "Second."})), 200);
    assert_eq!((&edited["content"], &edited["created_at"]), (&json!("Second."), &posted["created_at"]));

    let others = "comment not found or you don't have permission to delete it";
    let change = json!({"content": "Mine now."});
    refused(&bob.asks("PUT", &one, change.clone()), 403, "you don't have permission to update this comment");
    refused(&root.asks("PUT", &one, change.clone()), 403, "you don't have permission to update this comment");
    refused(&bob.asks("DELETE", &one, Value::Null), 404, others);
    assert_eq!(body(bob.gets(&one), 200), edited);

    let second = body(bob.asks("POST", &format!("{below}/"), json!({"content": "Me too."})), 201);
    let page = body(alice.gets(&below), 200);
    assert_eq!(page, json!({"data": [second, edited], "page": 1, "page_size": 20, "total": 2, "total_pages": 1}));
    let mine = body(bob.gets("/api/manga/comments/me?page_size=5"), 200);
    assert_eq!(mine, json!({"data": [second], "page": 1, "page_size": 5, "total": 1, "total_pages": 1}));

    let deleted = json!({"message": "Comment deleted successfully"});
    assert_eq!(body(alice.asks("DELETE", &one, Value::Null), 200), deleted);
    assert_eq!(body(root.asks("DELETE", &format!("/api/manga/comments/{}", second["id"]), Value::Null), 200), deleted);
    refused(&alice.gets(&one), 404, "comment not found");
    refused(&alice.asks("PUT", &one, change), 404, "comment not found");
    refused(&alice.asks("DELETE", &one, Value::Null), 404, others);
    assert_eq!(body(alice.gets(&below), 200)["total"], 0);
}

/// Fixed words and ids in one place of a path do not get in each other's way.
#[test]
fn words_and_ids_share_a_place() {
    let (server, alice, _, key) = two_readers();
    let mut alice = As::user(&server, &alice);
    assert_eq!(alice.gets("/api/manga/comments/me").status, 200);
    assert_eq!(alice.gets("/api/manga/comments/me/").status, 200);
    assert_eq!(alice.asks("PUT", "/api/manga/comments/me", json!({"content": "x"})).status, 405);
    refused(&alice.gets("/api/manga/comments/comments"), 400, "Invalid comment ID");
    refused(&alice.gets("/api/manga/me/comments"), 400, "Invalid manga ID");
    refused(&alice.gets(&format!("/api/manga/{key}/comments/me")), 404, "there is nothing at this path");
    refused(&alice.gets("/api/manga/comments/ratings/average"), 400, "Invalid manga ID");
    let mut guest = As::nobody(&server);
    assert_eq!(guest.gets("/api/v1/manga/all/reviews").refused(404, "NOT_FOUND"), "Manga not found");
}

// ---- reviews

/// A review from the first to the last: written once for each reader and series, shown to anyone,
/// written again, deleted by its author or an administrator.
#[test]
fn a_review_is_written_and_rewritten() {
    let (server, alice, bob, key) = two_readers();
    let root = admin(&server);
    let author = alice.id.clone();
    let (mut alice, mut bob, mut root, mut guest) =
        (As::user(&server, &alice), As::user(&server, &bob), As::user(&server, &root), As::nobody(&server));
    let all = format!("/api/v1/manga/{ONGOING}/reviews");
    let mine = format!("{all}/mine");
    assert_eq!(guest.gets(&all).data(200), json!({"items": []}));
    assert_eq!(alice.gets(&mine).refused(404, "NOT_FOUND"), "Review not found");

    let text = "He wins.\r\n\tIn the end.";
    let written = alice.asks("PUT", &mine, json!({"rating": 9, "spoiler": true, "text": text})).data(200);
    let review = &written["review"];
    let id = review["id"].as_i64().unwrap();
    let when = &review["created_at"];
    let expected = json!({"id": id, "manga_id": ONGOING, "manga_key": key, "user": {"id": author, "username": "alice"},
        "rating": 9, "text": text, "spoiler": true, "helpful": 0, "voted": false, "created_at": when, "updated_at": when});
    assert_eq!(review, &expected);
    assert_eq!(alice.gets(&mine).data(200), written);
    let seen = guest.gets(&all).data(200)["items"][0].clone();
    assert_eq!((&seen["voted"], &seen["text"]), (&json!(null), &json!(text)));

    let again = alice.asks("PUT", &mine, json!({"rating": 0, "text": "Good."})).data(200)["review"].clone();
    assert_eq!((&again["id"], &again["rating"], &again["spoiler"]), (&json!(id), &json!(null), &json!(false)));
    let rating = alice.gets(&format!("/api/v1/manga/{ONGOING}/rating")).data(200);
    assert_eq!(rating["rating"]["rating"], 9, "the reader's rating stays");

    let one = format!("/api/v1/reviews/{id}");
    bob.asks("DELETE", &one, Value::Null).refused(403, "FORBIDDEN");
    alice.asks("DELETE", &mine, Value::Null).data(200);
    alice.asks("DELETE", &mine, Value::Null).refused(404, "NOT_FOUND");
    root.asks("DELETE", &one, Value::Null).refused(404, "NOT_FOUND");
    bob.asks("PUT", &mine, json!({"text": "Bad."})).data(200);
    let bobs = guest.gets(&all).data(200)["items"][0]["id"].clone();
    root.asks("DELETE", &format!("/api/v1/reviews/{bobs}"), Value::Null).data(200);
    assert_eq!(guest.gets(&all).data(200), json!({"items": []}));
}

/// A vote counts once, can be taken back, is never for oneself, and decides the order.
#[test]
fn votes_decide_the_order() {
    let (server, alice, bob, _) = two_readers();
    let third = server.register("carol");
    let (mut alice, mut bob, mut carol, mut guest) =
        (As::user(&server, &alice), As::user(&server, &bob), As::user(&server, &third), As::nobody(&server));
    let all = format!("/api/v1/manga/{ONGOING}/reviews");
    let write = |user: &mut As<'_>, rating: Value| {
        let review = user.asks("PUT", &format!("{all}/mine"), json!({"rating": rating, "text": "So."})).data(200);
        review["review"]["id"].as_i64().unwrap()
    };
    let first = write(&mut alice, json!(2));
    write(&mut bob, json!(7));
    write(&mut carol, json!(null));

    let helpful = format!("/api/v1/reviews/{first}/helpful");
    alice.asks("PUT", &helpful, Value::Null).refused(403, "FORBIDDEN");
    for (method, helpful_now, voted) in
        [("PUT", 1, true), ("PUT", 1, true), ("DELETE", 0, false), ("DELETE", 0, false), ("PUT", 1, true)]
    {
        let reply = bob.asks(method, &helpful, Value::Null).data(200);
        assert_eq!(reply, json!({"helpful": helpful_now, "voted": voted}));
    }
    let names = |reply: Reply| -> Vec<String> {
        let data = reply.data(200);
        data["items"].as_array().unwrap().iter().map(|one| one["user"]["username"].as_str().unwrap().into()).collect()
    };
    assert_eq!(names(guest.gets(&all)), ["alice", "carol", "bob"]);
    assert_eq!(names(guest.gets(&format!("{all}?sort=helpful&limit=2&offset=1"))), ["carol", "bob"]);
    assert_eq!(names(guest.gets(&format!("{all}?sort=date"))), ["carol", "bob", "alice"]);
    assert_eq!(names(guest.gets(&format!("{all}?sort=rating"))), ["bob", "alice", "carol"]);
    let seen = |reply: Reply| reply.data(200)["items"][0]["voted"].clone();
    assert_eq!(
        [seen(guest.gets(&all)), seen(bob.gets(&all)), seen(carol.gets(&all))],
        [json!(null), json!(true), json!(false)]
    );
    let meta = guest.gets(&format!("{all}?limit=2")).json()["meta"].clone();
    assert_eq!(meta, json!({"total": 3, "count": 2, "limit": 2, "has_more": true, "page": 1, "total_pages": 2}));
    let lost = server.http().get(&all, Some("nonsense"));
    assert_eq!(lost.refused(401, "UNAUTHORIZED"), "Invalid or expired token");
}

// ---- what is refused

/// Every route of this area, with a body that it takes. `{k}` stands for a series' key, `{s}` for its slug,
/// `{c}` for a comment and `{r}` for a review.
const ROUTES: [(&str, &str, &str); 21] = [
    ("GET", "/api/manga/{k}/ratings", ""),
    ("POST", "/api/manga/{k}/ratings", r#"{"rating":5}"#),
    ("DELETE", "/api/manga/{k}/ratings", ""),
    ("GET", "/api/manga/{k}/ratings/average", ""),
    ("GET", "/api/manga/{k}/ratings/me", ""),
    ("GET", "/api/manga/{k}/comments", ""),
    ("POST", "/api/manga/{k}/comments", r#"{"content":"x"}"#),
    ("GET", "/api/manga/comments/me", ""),
    ("GET", "/api/manga/comments/{c}", ""),
    ("PUT", "/api/manga/comments/{c}", r#"{"content":"x"}"#),
    ("DELETE", "/api/manga/comments/{c}", ""),
    ("GET", "/api/v1/manga/{s}/rating", ""),
    ("PUT", "/api/v1/manga/{s}/rating", r#"{"rating":5}"#),
    ("DELETE", "/api/v1/manga/{s}/rating", ""),
    ("GET", "/api/v1/manga/{s}/reviews", ""),
    ("GET", "/api/v1/manga/{s}/reviews/mine", ""),
    ("PUT", "/api/v1/manga/{s}/reviews/mine", r#"{"rating":5,"spoiler":true,"text":"x"}"#),
    ("DELETE", "/api/v1/manga/{s}/reviews/mine", ""),
    ("PUT", "/api/v1/reviews/{r}/helpful", ""),
    ("DELETE", "/api/v1/reviews/{r}/helpful", ""),
    ("DELETE", "/api/v1/reviews/{r}", ""),
];

/// Text that means something to SQL, to browsers, to terminals or to readers of paths.
const HOSTILE: [&str; 14] = [
    "'; DROP TABLE comments; --",
    "' OR '1'='1",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}",
    "%00%0a%2e%2e%2f",
    "../../etc/passwd",
    "שלום עולם",
    "\u{202e}evil\u{202c}",
    "👩‍👩‍👧‍👦🏴‍☠️",
    "e\u{301}ﷺ",
    "\u{feff}",
    "line\nline\r\nline\ttab",
    "\\\"\\u0000",
];

/// Percent-encodes all but letters and digits.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Each route but the public list needs a token, and says so in its family's shape.
#[test]
fn a_token_is_needed() {
    let (server, _, _, key) = two_readers();
    let mut guest = As::nobody(&server);
    for (method, path, body) in ROUTES {
        let path =
            path.replace("{k}", &key.to_string()).replace("{s}", ONGOING).replace("{c}", "1").replace("{r}", "1");
        let reply = guest.http.request(method, &path, &["Content-Type: application/json"], body.as_bytes());
        match path.ends_with("/reviews") {
            true => assert_eq!(reply.status, 200),
            false => {
                assert_eq!(reply.status, 401, "{method} {path}");
                assert_eq!(reply.json()["error"].is_string(), !path.starts_with("/api/v1"), "{}", reply.text());
            }
        }
    }
}

/// Series, comments and reviews that aren't there, and words that can't name one, are 404 or 400 on
/// every route.
#[test]
fn unknown_and_impossible_ids_are_refused() {
    let (server, alice, _, key) = two_readers();
    let root = admin(&server);
    let (mut alice, mut root) = (As::user(&server, &alice), As::user(&server, &root));
    for (method, path, sent) in ROUTES {
        let sent = serde_json::from_str(sent).unwrap_or(Value::Null);
        let user = if path == "/api/v1/reviews/{r}" { &mut root } else { &mut alice };
        let mut status = |id: &str| {
            let path = ["{k}", "{c}", "{r}"].iter().fold(path.to_owned(), |path, part| path.replace(part, id));
            user.asks(method, &path.replace("{s}", &encoded(&format!("x{id}"))), sent.clone()).status
        };
        if path.contains('{') {
            for unknown in ["0", "999999999", "9223372036854775807", "-1"] {
                assert_eq!(status(unknown), 404, "{method} {path} {unknown}");
            }
        }
        if ["{k}", "{c}", "{r}"].iter().any(|part| path.contains(part)) {
            for impossible in ["x", "1.5", "1e3", "9223372036854775808", "%31x", "0x1", "true", "%E2%91%A0", "1%20"] {
                assert_eq!(status(impossible), 400, "{method} {path} {impossible}");
            }
        }
    }
    for text in HOSTILE {
        let path = format!("/api/v1/manga/{}/reviews", encoded(text));
        assert_eq!(alice.gets(&path).status, 404, "{text}");
    }
    assert_eq!(alice.gets(&format!("/api/manga/{key}/ratings")).status, 200);
}

/// Bodies of a wrong type, with a member missing, too long, empty or with hidden characters are
/// refused by the member's name, and leave nothing behind.
#[test]
fn wrong_bodies_are_refused_by_name() {
    let (server, alice, bob, key) = two_readers();
    let (mut alice, mut bob) = (As::user(&server, &alice), As::user(&server, &bob));
    let comment = body(alice.asks("POST", &format!("/api/manga/{key}/comments"), json!({"content": "x"})), 201);
    let one = format!("/api/manga/comments/{}", comment["id"]);
    let texts = |longest: usize| {
        [json!(null), json!(5), json!(true), json!([]), json!({}), json!(""), json!(" \n\t"), json!("a\u{0}b")]
            .into_iter()
            .chain(["\u{1}", "a\u{1b}[31m", "a\rb", "\u{7f}", "\u{9b}31m"].map(Value::from))
            .chain([json!("界".repeat(longest + 1)), json!("x".repeat(900_000))])
            .collect::<Vec<_>>()
    };
    let numbers = [json!("5"), json!(true), json!([]), json!({}), json!(1.5), json!(-1), json!(11), json!(1e300)];
    let needed = [vec![json!(null), json!(0)], numbers.to_vec()].concat();
    let review = format!("/api/v1/manga/{ONGOING}/reviews/mine");
    let flags = vec![json!("true"), json!(1), json!([]), json!({})];
    let text = || json!({"text": "x"});
    for (method, path, good, member, wrong) in [
        ("POST", format!("/api/manga/{key}/ratings"), json!({}), "rating", needed.clone()),
        ("PUT", format!("/api/v1/manga/{ONGOING}/rating"), json!({}), "rating", needed),
        ("POST", format!("/api/manga/{key}/comments"), json!({}), "content", texts(5000)),
        ("PUT", one.clone(), json!({}), "content", texts(5000)),
        ("PUT", review.clone(), json!({}), "text", texts(10_000)),
        ("PUT", review.clone(), text(), "rating", numbers.to_vec()),
        ("PUT", review.clone(), text(), "spoiler", flags),
    ] {
        for value in wrong {
            let mut sent = good.clone();
            sent[member] = value.clone();
            let reply = alice.asks(method, &path, sent);
            let said = reply.text();
            assert_eq!(reply.status, 400, "{method} {path} {:.60} {said}", value.to_string());
            assert!(said.contains(&format!("\"{member}: ")), "{said}");
        }
        for broken in ["", "{", "[]", "null", "5", "{\"rating\":5,\"rating\":5}", "\u{0}", "{\"text\":\"\\ud800\"}"] {
            let authorization = format!("Authorization: Bearer {}", alice.token.unwrap());
            let reply = alice.http.request(method, &path, &[&authorization], broken.as_bytes());
            assert_eq!(reply.status, 400, "{method} {path} {broken:?}");
        }
    }
    assert_eq!(body(alice.gets(&one), 200), comment);
    assert_eq!(alice.gets(&review).status, 404);
    assert_eq!(body(bob.gets(&format!("/api/manga/{key}/ratings/average")), 200)["total_ratings"], 0);
    assert_eq!(body(bob.gets(&format!("/api/manga/{key}/comments")), 200)["total"], 1);
    assert_eq!(server.varz()["panics"], 0);
}

/// Whatever a text says, and however long it may be, it comes back as it was sent.
#[test]
fn text_comes_back_as_it_was() {
    let (server, alice, _, key) = two_readers();
    let mut alice = As::user(&server, &alice);
    let review = format!("/api/v1/manga/{COMPLETED}/reviews/mine");
    let longest = ["界".repeat(5000), "🏴".repeat(5000), "\"".repeat(5000)];
    for text in HOSTILE.iter().map(|text| (*text).to_owned()).chain(longest) {
        let comment = body(alice.asks("POST", &format!("/api/manga/{key}/comments"), json!({"content": text})), 201);
        let path = format!("/api/manga/comments/{}", comment["id"]);
        assert_eq!(body(alice.gets(&path), 200)["content"], json!(text));
        alice.asks("PUT", &review, json!({"text": text.repeat(2)})).data(200);
        assert_eq!(alice.gets(&review).data(200)["review"]["text"], json!(text.repeat(2)));
    }
}

/// No page is too far and no size too odd: the second family falls back to what is usual, the first
/// names the part that is wrong.
#[test]
fn pages_are_bounded() {
    let (server, alice, _, key) = two_readers();
    let mut alice = As::user(&server, &alice);
    alice.asks("POST", &format!("/api/manga/{key}/ratings"), json!({"rating": 5}));
    alice.asks("POST", &format!("/api/manga/{key}/comments"), json!({"content": "x"}));
    for list in
        [format!("/api/manga/{key}/ratings"), format!("/api/manga/{key}/comments"), "/api/manga/comments/me".into()]
    {
        for (query, page, size, rows) in [
            ("", 1, 20, 1),
            ("?page=1&page_size=100", 1, 100, 1),
            ("?page=2", 2, 20, 0),
            ("?page=0&page_size=0", 1, 20, 1),
            ("?page=-1&page_size=-1", 1, 20, 1),
            ("?page=x&page_size=101", 1, 20, 1),
            ("?page=99999999999999999999&page_size=1e2", 1, 20, 1),
            ("?page=4294967295&page_size=1", 4_294_967_295_u64, 1, 0),
            ("?page=1%27%20OR%201%3D1&page_size=%00", 1, 20, 1),
        ] {
            let shown = body(alice.gets(&format!("{list}{query}")), 200);
            let (shown_page, shown_size) = (&shown["page"], &shown["page_size"]);
            assert_eq!((shown_page, shown_size), (&json!(page), &json!(size)), "{list}{query}");
            assert_eq!(shown["data"].as_array().unwrap().len(), rows, "{list}{query}");
        }
        assert_eq!(body(alice.gets(&format!("{list}?page=4294967295&page_size=100")), 200)["data"], json!([]));
    }
    let reviews = format!("/api/v1/manga/{ONGOING}/reviews");
    assert_eq!(alice.gets(&format!("{reviews}?offset=4294967295")).data(200)["items"], json!([]));
    for (query, part) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("offset=4294967296", "offset"),
        ("sort=best", "sort"),
        ("sort=helpful%27--", "sort"),
    ] {
        let message = alice.gets(&format!("{reviews}?{query}")).refused(400, "BAD_REQUEST");
        assert!(message.starts_with(&format!("{part}: ")), "{message}");
    }
}
