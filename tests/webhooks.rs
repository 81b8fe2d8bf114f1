//! Webhooks as their owners and receivers meet them: a real receiver on this machine, a server that is
//! killed in the middle, and addresses that nobody may reach.

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::http::HttpClient;
use common::{Account, DEADLINE, Program, SECRET, TestServer, account, await_true};
use hmac::{Hmac, Mac};
use jsonwebtoken::{EncodingKey, Header};
use mangahub::config::Config;
use serde_json::{Value, json};

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers with this status.
    Answer(u16),
    /// Never answers.
    Stall,
}

/// A receiver of webhooks on a port of its own. It does what it was told in turn, and then answers 200.
struct Receiver {
    address: SocketAddr,
    came: mpsc::Receiver<Came>,
    manners: Arc<Mutex<VecDeque<Manner>>>,
}

/// A request that came to a receiver.
#[derive(Debug)]
struct Came {
    head: String,
    body: String,
}

impl Receiver {
    fn start(manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let manners = Arc::new(Mutex::new(manners.iter().copied().collect::<VecDeque<_>>()));
        let (tell, came) = mpsc::channel();
        let queue = manners.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            let mut stalled = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&mut stream) else { continue };
                let manner = queue.lock().unwrap().pop_front().unwrap_or(Manner::Answer(200));
                if tell.send(request).is_err() {
                    return;
                }
                match manner {
                    Manner::Answer(status) => {
                        let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                    }
                    Manner::Stall => stalled.push(stream),
                }
            }
        });
        Self { address, came, manners }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    fn next(&self) -> Came {
        self.came.recv_timeout(DEADLINE).expect("a delivery")
    }

    fn then(&self, manner: Manner) {
        self.manners.lock().unwrap().push_back(manner);
    }
}

/// Reads one request; `None` when the client closes without one.
fn read(stream: &mut TcpStream) -> Option<Came> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let came = Came { head: head.to_owned(), body: body.to_owned() };
            if came.body.len() >= came.field("content-length").parse().unwrap() {
                return Some(came);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

impl Came {
    fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        values.next().unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn delivery(&self) -> i64 {
        self.field("X-MangaHub-Delivery").parse().unwrap()
    }

    /// Whether the signature is the secret's over time and body.
    fn is_signed_with(&self, secret: &str) -> bool {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{}.{}", self.field("X-MangaHub-Timestamp"), self.body).as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.field("X-MangaHub-Signature") == format!("sha256={signature}")
    }
}

/// Private receivers, and pauses as short as the loop's tick.
fn quick(config: &mut Config) {
    config.webhooks.allow_private = true;
    config.webhooks.backoff_ms = 1;
    config.webhooks.attempts = 3;
    // Longer than any test waits: nothing here may rest on it.
    config.webhooks.timeout_ms = 60_000;
}

/// A user with a connection.
struct Owner {
    http: HttpClient,
    token: String,
}

impl Owner {
    fn new(server: &TestServer, account: &Account) -> Self {
        Self { http: server.http(), token: account.token.clone() }
    }

    fn post(&mut self, path: &str, body: &Value) -> common::http::Reply {
        self.http.post(path, Some(&self.token), body)
    }

    fn send(&mut self, method: &str, path: &str) -> common::http::Reply {
        self.http.json(method, path, Some(&self.token), None)
    }

    /// A webhook with all events; its path and its secret.
    fn hook(&mut self, url: &str) -> (String, String) {
        let made = self.post("/api/v1/webhooks", &json!({"url": url})).data(201);
        (format!("/api/v1/webhooks/{}", made["webhook"]["id"]), made["secret"].as_str().unwrap().to_owned())
    }

    /// Sends a test and gives the delivery's number.
    fn test(&mut self, hook: &str) -> i64 {
        let queued = self.send("POST", &format!("{hook}/test")).data(202);
        assert_eq!(queued["delivery"]["state"], "pending");
        queued["delivery"]["id"].as_i64().unwrap()
    }

    /// Waits until a delivery is in a state.
    fn await_state(&mut self, hook: &str, delivery: i64, state: &str) -> Value {
        let path = format!("{hook}/deliveries?state={state}");
        await_true(&format!("delivery {delivery} {state}"), || {
            let found = self.http.get(&path, Some(&self.token)).data(200);
            found["items"].as_array().unwrap().iter().find(|row| row["id"] == delivery).cloned()
        })
    }
}

/// A delivery has the fields that a receiver needs, and a signature that it can check; another secret
/// holds from the next one on.
#[test]
fn deliveries_are_signed() {
    let (server, receiver) = (TestServer::with(quick), Receiver::start(&[]));
    let mut owner = Owner::new(&server, &server.register("alice"));
    let (hook, secret) = owner.hook(&receiver.url());
    let delivery = owner.test(&hook);
    let came = receiver.next();
    assert!(came.head.starts_with("POST /hook?a=b HTTP/1.1"), "{}", came.head);
    assert_eq!((came.delivery(), came.field("X-MangaHub-Event")), (delivery, "test"));
    assert_eq!(came.field("Content-Type"), "application/json");
    assert!(came.is_signed_with(&secret) && !came.is_signed_with("another"));
    let now = jiff::Timestamp::now().as_second();
    let sent: i64 = came.field("X-MangaHub-Timestamp").parse().unwrap();
    assert!((now - 60..=now + 1).contains(&sent));
    let body: Value = serde_json::from_str(&came.body).unwrap();
    assert_eq!((&body["event"], &body["data"]["message"]), (&json!("test"), &json!("This is a test")));
    let done = owner.await_state(&hook, delivery, "delivered");
    assert_eq!((&done["attempts"], &done["status"], &done["error"]), (&json!(1), &json!(200), &Value::Null));
    assert_eq!((&done["body"], &done["next_attempt_at"]), (&body, &Value::Null));
    let own = json!({"secret": "a-secret-of-my-own"});
    assert_eq!(owner.post(&format!("{hook}/secret"), &own).data(200)["secret"], own["secret"]);
    owner.test(&hook);
    assert!(receiver.next().is_signed_with("a-secret-of-my-own"));
    let shown = owner.send("GET", &hook).text();
    assert!(!shown.contains("secret"), "{shown}");
}

/// What fails is tried again with the same number and body, and what comes after it waits.
#[test]
fn failures_are_tried_again_in_order() {
    let (server, receiver) = (TestServer::with(quick), Receiver::start(&[Manner::Answer(500), Manner::Answer(302)]));
    let mut owner = Owner::new(&server, &server.register("alice"));
    let (hook, _) = owner.hook(&receiver.url());
    let (first, second) = (owner.test(&hook), owner.test(&hook));
    let came: Vec<Came> = (0..4).map(|_| receiver.next()).collect();
    let numbers: Vec<i64> = came.iter().map(Came::delivery).collect();
    assert_eq!(numbers, [first, first, first, second]);
    assert_eq!(came[0].body, came[2].body);
    assert_eq!(owner.await_state(&hook, first, "delivered")["attempts"], 3);
    owner.await_state(&hook, second, "delivered");
}

/// After its last attempt a delivery is a dead letter, which can be sent again; too many in a row disable
/// the webhook, which says so until its owner makes it active.
#[test]
fn dead_letters_are_kept_and_replayed() {
    let server = TestServer::with(|config| {
        quick(config);
        config.webhooks.attempts = 1;
        config.webhooks.disable_after = 2;
    });
    let receiver = Receiver::start(&[Manner::Answer(503), Manner::Answer(404)]);
    let mut owner = Owner::new(&server, &server.register("alice"));
    let (hook, _) = owner.hook(&receiver.url());
    let first = owner.test(&hook);
    let dead = owner.await_state(&hook, first, "dead");
    assert_eq!((&dead["status"], &dead["error"]), (&json!(503), &json!("The receiver answered 503")));
    let second = owner.test(&hook);
    owner.await_state(&hook, second, "dead");
    let shown = owner.send("GET", &hook).data(200)["webhook"].clone();
    assert_eq!((&shown["active"], &shown["dead_in_row"]), (&json!(false), &json!(2)));
    assert_eq!(shown["disabled_reason"], "2 deliveries in a row were given up");
    owner.send("POST", &format!("{hook}/test")).refused(409, "CONFLICT");
    let replay = format!("{hook}/deliveries/{first}/replay");
    owner.send("POST", &replay).refused(409, "CONFLICT");
    let on = owner.http.json("PATCH", &hook, Some(&owner.token), Some(&json!({"active": true}))).data(200);
    assert_eq!((&on["webhook"]["active"], &on["webhook"]["disabled_reason"]), (&json!(true), &Value::Null));
    assert_eq!(owner.send("POST", &replay).data(202)["delivery"]["attempts"], 0);
    owner.await_state(&hook, first, "delivered");
    let numbers: Vec<i64> = (0..3).map(|_| receiver.next().delivery()).collect();
    assert_eq!(numbers, [first, second, first]);
    receiver.then(Manner::Answer(410));
    let third = owner.test(&hook);
    owner.await_state(&hook, third, "dead");
    let gone = owner.send("GET", &hook).data(200)["webhook"]["disabled_reason"].clone();
    assert_eq!(gone, "The receiver answered 410 Gone");
}

/// Somebody who never answers delays nobody: neither others' deliveries, nor requests, nor pings, nor the
/// server's end.
#[test]
fn a_slow_receiver_delays_nobody() {
    let mut server = TestServer::with(|config| {
        quick(config);
        config.server.drain_seconds = 1;
    });
    let (slow, good) = (Receiver::start(&[Manner::Stall; 9]), Receiver::start(&[]));
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut alices, mut bobs) = (Owner::new(&server, &alice), Owner::new(&server, &bob));
    // More than she has a share of.
    let stalled: Vec<String> = (0..3).map(|_| alices.hook(&slow.url()).0).collect();
    let waiting: Vec<i64> = stalled.iter().map(|hook| alices.test(hook)).collect();
    slow.next();
    slow.next();
    let (hook, _) = bobs.hook(&good.url());
    let delivery = bobs.test(&hook);
    assert_eq!(good.next().delivery(), delivery);
    bobs.await_state(&hook, delivery, "delivered");
    assert_eq!(slow.came.recv_timeout(Duration::ZERO).unwrap_err(), RecvTimeoutError::Timeout, "one user's share");
    let mut session = server.session_v1(&alice);
    session.send(&json!({"type": "ping"}));
    session.expect("pong");
    alices.await_state(&stalled[0], waiting[0], "pending");
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// Four users whose receivers never answer, each with more webhooks than calls, hold up nobody else: a fifth's
/// deliveries keep flowing.
#[test]
fn slow_receivers_of_many_users_delay_nobody() {
    let server = TestServer::with(|config| {
        quick(config);
        config.server.drain_seconds = 1;
    });
    let (slow, good) = (Receiver::start(&[Manner::Stall; 99]), Receiver::start(&[]));
    for name in ["anna", "berta", "carl", "dora"] {
        let mut owner = Owner::new(&server, &server.register(name));
        for _ in 0..5 {
            let (hook, _) = owner.hook(&slow.url());
            owner.test(&hook);
        }
    }
    // All of them have one call at least; how many more depends on how soon it shows that they are slow.
    (0..4).for_each(|_| drop(slow.next()));
    let mut fifth = Owner::new(&server, &server.register("emil"));
    let (hook, _) = fifth.hook(&good.url());
    for _ in 0..5 {
        let delivery = fifth.test(&hook);
        assert_eq!(good.next().delivery(), delivery);
        fifth.await_state(&hook, delivery, "delivered");
    }
    assert!(slow.came.try_iter().count() <= 4, "at most two calls of each");
}

/// A server that is killed while a delivery is on its way makes it again, and what came after it follows.
#[test]
fn a_crash_loses_no_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Manner::Stall]);
    let arguments = ["--set", "webhooks.allow_private=true", "--set", "webhooks.timeout_ms=60000"];
    let server = Program::start(folder.path(), &arguments);
    let mut http = HttpClient::connect(server.address("http"));
    let body = json!({"username": "alice", "email": "alice@example.org", "password": "correct horse"});
    let alice = account(&http.post("/api/v1/auth/register", None, &body).json());
    let mut owner = Owner { http, token: alice.token.clone() };
    let (hook, secret) = owner.hook(&receiver.url());
    let (first, second) = (owner.test(&hook), owner.test(&hook));
    let came = receiver.next();
    assert_eq!(came.delivery(), first);
    drop(server);
    std::fs::remove_file(folder.path().join("ports.json")).unwrap();
    let server = Program::start(folder.path(), &arguments);
    let mut owner = Owner { http: HttpClient::connect(server.address("http")), token: alice.token };
    let (again, next) = (receiver.next(), receiver.next());
    assert_eq!((again.delivery(), next.delivery()), (first, second));
    assert_eq!(again.body, came.body);
    assert!(again.is_signed_with(&secret));
    owner.await_state(&hook, first, "delivered");
    owner.await_state(&hook, second, "delivered");
}

/// Unless the operator allows it, nobody can point the server at its own network: neither with an address,
/// nor with a webhook from before that was forbidden.
#[test]
fn private_addresses_are_refused() {
    let mut server = TestServer::with(quick);
    let receiver = Receiver::start(&[]);
    let alice = server.register("alice");
    let (hook, _) = Owner::new(&server, &alice).hook(&receiver.url());
    server.restart_with(|config| {
        quick(config);
        config.webhooks.allow_private = false;
        config.webhooks.attempts = 1;
    });
    let mut owner = Owner::new(&server, &alice);
    let delivery = owner.test(&hook);
    let dead = owner.await_state(&hook, delivery, "dead");
    assert!(dead["error"].as_str().unwrap().contains("no public address"), "{dead}");
    assert_eq!(receiver.came.recv_timeout(Duration::ZERO).unwrap_err(), RecvTimeoutError::Timeout);
    for url in [receiver.url().as_str(), "http://[::1]/", "http://10.1.2.3/", "http://169.254.169.254/latest"] {
        let refused = owner.post("/api/v1/webhooks", &json!({"url": url})).refused(400, "BAD_REQUEST");
        assert!(refused.contains("not public"), "{refused}");
        let change = json!({"url": url});
        owner.http.json("PATCH", &hook, Some(&owner.token), Some(&change)).refused(400, "BAD_REQUEST");
    }
}

/// Webhooks are their owner's alone, bounded in number, and what is wrong is named.
#[test]
fn webhooks_are_looked_after() {
    let server = TestServer::with(|config| {
        quick(config);
        config.webhooks.per_user = 2;
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut alices, mut bobs) = (Owner::new(&server, &alice), Owner::new(&server, &bob));
    server.http().get("/api/v1/webhooks", None).refused(401, "UNAUTHORIZED");
    let (hook, _) = alices.hook("https://example.org/a#b");
    let shown = alices.send("GET", &hook).data(200)["webhook"].clone();
    assert_eq!(shown["url"], "https://example.org/a");
    assert_eq!(shown["events"], json!(["new_manga", "new_chapter", "manga_update", "announcement"]));
    for (method, path) in [
        ("GET", hook.clone()),
        ("PATCH", hook.clone()),
        ("DELETE", hook.clone()),
        ("POST", format!("{hook}/test")),
        ("POST", format!("{hook}/secret")),
        ("GET", format!("{hook}/deliveries")),
        ("POST", format!("{hook}/deliveries/1/replay")),
        ("GET", "/api/v1/webhooks/x".to_owned()),
    ] {
        bobs.send(method, &path).refused(404, "NOT_FOUND");
    }
    assert_eq!(bobs.send("GET", "/api/v1/webhooks").data(200)["items"], json!([]));
    let wrong = [
        (json!({}), "url: "),
        (json!({"url": 1}), "url: "),
        (json!({"url": "https://a@example.org/"}), "url: "),
        (json!({"url": "https://example.org/", "events": []}), "events: "),
        (json!({"url": "https://example.org/", "events": ["no_such"]}), "events: "),
        (json!({"url": "https://example.org/", "scope": "some"}), "scope: "),
        (json!({"url": "https://example.org/", "secret": "short"}), "secret: "),
        (json!({"url": "https://example.org/", "secret": "with\u{0}a control character"}), "secret: "),
    ];
    for (body, member) in wrong {
        let refused = alices.post("/api/v1/webhooks", &body).refused(400, "BAD_REQUEST");
        assert!(refused.starts_with(member), "{refused}");
    }
    alices.send("GET", &format!("{hook}/deliveries?state=odd")).refused(400, "BAD_REQUEST");
    alices.send("GET", &format!("{hook}/deliveries?limit=101")).refused(400, "BAD_REQUEST");
    let all = json!({"url": "https://example.org/", "scope": "all"});
    alices.post("/api/v1/webhooks", &all).refused(403, "FORBIDDEN");
    assert_eq!(administrator(&server).post("/api/v1/webhooks", &all).data(201)["webhook"]["scope"], "all");
    alices.hook("https://example.org/b");
    alices.post("/api/v1/webhooks", &json!({"url": "https://example.org/c"})).refused(409, "CONFLICT");
    let export = alices.send("GET", "/api/v1/users/me/export");
    assert_eq!(export.data(200)["webhooks"]["items"].as_array().unwrap().len(), 2);
    assert!(!export.text().contains("whsec_"));
    alices.send("DELETE", &hook).data(200);
    alices.send("GET", &hook).refused(404, "NOT_FOUND");
}

/// A user with a token that says that they are an administrator.
fn administrator(server: &TestServer) -> Owner {
    let boss = server.register("boss");
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"user_id": boss.id, "username": boss.username, "role": "admin", "iat": now, "exp": now + 3600});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    Owner { http: server.http(), token }
}
