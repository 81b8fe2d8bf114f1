//! Notifications by UDP, over real sockets: both dialects, proofs, acknowledgements, and what must not work.

mod common;

use common::udp::UdpClient;
use common::ws::WsClient;
use common::{Account, ONGOING, TestServer};
use serde_json::{Value, json};

fn v1(server: &TestServer) -> UdpClient {
    UdpClient::new(server, "udp_v1")
}

fn v2(server: &TestServer) -> UdpClient {
    UdpClient::new(server, "udp_v2")
}

/// Tells the server that a series came; it need not be in the catalogue.
fn announce(server: &TestServer, number: i64) {
    let body = json!({"manga_id": number, "title": format!("Series {number}")});
    assert_eq!(server.internal().post("/notify/new-manga", None, &body).status, 202);
}

/// The key of the running series of the tests.
fn ongoing(server: &TestServer) -> i64 {
    server.http().get(&format!("/manga/{ONGOING}"), None).json()["data"]["manga"]["key"].as_i64().unwrap()
}

/// Tells the server that a chapter of the running series came out.
fn chapter(server: &TestServer, number: i64) {
    let body = json!({"manga_id": ongoing(server), "title": "Berserk", "chapter": number});
    assert_eq!(server.internal().post("/notify/new-chapter", None, &body).status, 202);
}

/// A token that registers addresses of a user.
fn token(server: &TestServer, account: &Account) -> String {
    let data = server.http().post("/api/v1/auth/udp-token", Some(&account.token), &json!({})).data(200);
    assert_eq!(data["expires_in"], 600);
    data["token"].as_str().unwrap().to_owned()
}

fn await_leases(server: &TestServer, verified: usize, unverified: usize) {
    let wanted = json!({"verified": verified, "unverified": unverified});
    server.await_varz(&format!("leases {wanted}"), |varz| varz["leases"] == wanted);
}

/// The first dialect, as its clients speak it: registering, pinging, hearing, leaving.
#[test]
fn the_first_dialect() {
    let server = TestServer::start();
    let client = v1(&server);
    client.say("register", json!({"client_id": "abc", "user_id": "u", "username": "n"}));
    let success = client.hear_type("register_success");
    assert_eq!(success["data"], json!({"client_id": "abc", "message": "Registration successful"}));
    assert!(success["timestamp"].is_string());
    client.say("ping", json!({"client_time": "2026-11-21T10:00:00Z"}));
    assert_eq!(client.hear_type("pong")["data"]["client_time"], "2026-11-21T10:00:00Z");
    announce(&server, 1);
    let told = client.hear_type("notification");
    assert_eq!(told["data"]["manga_title"], "Series 1");
    assert_eq!(told["data"]["message"], "New manga added: Series 1");
    chapter(&server, 400);
    let told = client.hear_type("notification");
    assert_eq!((&told["data"]["manga_id"], &told["data"]["chapter_number"]), (&json!(ONGOING), &json!(400)));
    client.say("unregister", json!({"client_id": "abc"}));
    client.silence_v1();
    announce(&server, 2);
    client.silence_v1();
    client.say("register", json!({}));
    assert_eq!(client.hear_type("register_failed")["data"]["reason"], "Client ID is required");
    client.send_bytes("not json");
    assert_eq!(client.hear_type("error")["data"]["code"], "INVALID_MESSAGE");
    client.say("hello", json!({}));
    assert_eq!(client.hear_type("error")["data"]["code"], "UNKNOWN_MESSAGE_TYPE");
    client.send_bytes("x".repeat(3000));
    assert_eq!(client.hear_type("error")["data"]["code"], "MESSAGE_TOO_LARGE");
}

/// The second dialect, as its clients speak it, with silence for what can't be read.
#[test]
fn the_second_dialect() {
    let server = TestServer::start();
    let client = v2(&server);
    client.send(&json!({"type": "SUBSCRIBE", "user_id": ""}));
    let mut answer = client.hear();
    assert!(answer["timestamp"].take().is_string());
    let message = "Successfully subscribed to notifications";
    assert_eq!(answer, json!({"type": "SUBSCRIBE", "manga_id": 0, "title": "", "message": message, "timestamp": null}));
    client.silence();
    announce(&server, 1);
    let told = client.hear_type("NEW_MANGA");
    assert_eq!((&told["manga_id"], &told["title"]), (&json!(1), &json!("Series 1")));
    chapter(&server, 401);
    let told = client.hear_type("NEW_CHAPTER");
    assert_eq!((&told["manga_id"], &told["data"]), (&json!(ongoing(&server)), &json!({"chapter": 401})));
    for bytes in ["", "{", "[]", r#"{"type":"WHAT"}"#, r#"{"type":"ACK"}"#, r#"{"type":"SUBSCRIBE","user_id":7}"#] {
        client.send_bytes(bytes);
    }
    client.send_bytes("x".repeat(5000));
    client.silence();
    client.send(&json!({"type": "UNSUBSCRIBE", "user_id": ""}));
    assert_eq!(client.hear_type("UNSUBSCRIBE")["message"], "Successfully unsubscribed");
    announce(&server, 2);
    client.silence();
}

/// One new series reaches many addresses of both dialects, each once, and each in its own shape.
#[test]
fn many_addresses_hear_of_a_series() {
    let server = TestServer::start();
    let first: Vec<_> = (0..100).map(|_| v1(&server)).collect();
    let second: Vec<_> = (0..100).map(|_| v2(&server)).collect();
    first.iter().for_each(|client| client.register(json!({})));
    second.iter().for_each(|client| client.subscribe(json!({"user_id": "somebody"})));
    (1..=3).for_each(|number| announce(&server, number));
    for client in first {
        let titles = (0..3).map(|_| client.hear_type("notification")["data"]["manga_title"].clone());
        assert_eq!(titles.collect::<Vec<_>>(), ["Series 1", "Series 2", "Series 3"]);
        client.silence_v1();
    }
    for client in second {
        let titles = (0..3).map(|_| client.hear_type("NEW_MANGA")["title"].clone());
        assert_eq!(titles.collect::<Vec<_>>(), ["Series 1", "Series 2", "Series 3"]);
        client.silence();
    }
    let varz = server.varz();
    assert_eq!(varz["leases"], json!({"verified": 0, "unverified": 200}));
    assert_eq!(varz["datagrams"]["dropped"], 0);
}

/// Nobody acts for another address, whatever it claims: neither leaving nor acknowledging nor registering.
#[test]
fn nobody_acts_for_another_address() {
    let server = TestServer::with(|config| config.udp.resend_ms = 100);
    let (honest, spoofer) = (v1(&server), v1(&server));
    honest.register(json!({"ack": true}));
    announce(&server, 1);
    let id = honest.hear_type("notification")["data"]["id"].clone();
    spoofer.say("unregister", json!({"client_id": "client-1"}));
    spoofer.say("ack", json!({"id": id}));
    spoofer.register(json!({}));
    assert_eq!(honest.hear_type("notification")["data"]["id"], id, "it is sent again");
    honest.say("ack", json!({"id": id}));
    await_leases(&server, 0, 2);
}

/// What a peer sends as a notification goes to nobody.
#[test]
fn a_peer_notifies_nobody() {
    let server = TestServer::start();
    let (listener, forger, other) = (v1(&server), v1(&server), v2(&server));
    listener.register(json!({}));
    other.subscribe(json!({}));
    forger.register(json!({}));
    forger.say("notification", json!({"manga_id": "x", "message": "believe me"}));
    assert_eq!(forger.hear_type("error")["data"]["code"], "FORBIDDEN");
    other.send(&json!({"type": "NEW_MANGA", "manga_id": 1, "title": "believe me", "message": "x"}));
    other.silence();
    listener.silence_v1();
}

/// A token for datagrams is good for nothing else, and no login is good for datagrams.
#[test]
fn each_token_has_one_use() {
    let server = TestServer::start();
    let ann = server.register("ann");
    let token = token(&server, &ann);
    for path in ["/api/v1/users/me", "/api/v1/users/library", "/api/library"] {
        assert_eq!(server.http().get(path, Some(&token)).status, 401, "{path}");
    }
    assert_eq!(server.http().post("/api/v1/auth/udp-token", Some(&token), &json!({})).status, 401);
    let mut line = server.v1();
    line.send(&json!({"type": "auth", "timestamp": "2026-11-21T10:00:00Z", "data": {"token": token}}));
    line.expect("auth_failed");
    let (first, second) = (v1(&server), v2(&server));
    for bad in [ann.token.as_str(), "x", ""] {
        first.say("register", json!({"client_id": "c", "token": bad}));
        assert_eq!(first.hear_type("register_failed")["data"]["reason"], "Invalid or expired token");
        second.send(&json!({"type": "SUBSCRIBE", "token": bad}));
        second.silence();
    }
    await_leases(&server, 0, 0);
    first.register(json!({"token": token}));
    second.subscribe(json!({"token": token}));
    await_leases(&server, 2, 0);
    // Who proved nothing does not take the place of who did.
    first.register(json!({"user_id": "somebody else"}));
    await_leases(&server, 2, 0);
}

/// A verified address hears what its user reads, a stranger what is public; both hear what comes new.
#[test]
fn a_verified_address_hears_of_its_own_library() {
    let server = TestServer::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let body = json!({"manga_id": ONGOING, "status": "reading"});
    assert_eq!(server.http().post("/api/v1/users/library", Some(&ann.token), &body).status, 201);
    let (reader, other, stranger) = (v2(&server), v2(&server), v2(&server));
    reader.subscribe(json!({"token": token(&server, &ann)}));
    other.subscribe(json!({"token": token(&server, &bob)}));
    stranger.subscribe(json!({"user_id": bob.id}));
    chapter(&server, 402);
    announce(&server, 1);
    for hears in [&reader, &stranger] {
        assert_eq!(hears.hear_type("NEW_CHAPTER")["data"]["chapter"], 402);
    }
    for hears in [&reader, &other, &stranger] {
        assert_eq!(hears.hear_type("NEW_MANGA")["title"], "Series 1");
        hears.silence();
    }
}

/// Who was away is told what was missed, in order and once, if they prove who they are.
#[test]
fn what_was_missed_is_told_to_the_verified() {
    let server = TestServer::start();
    let ann = server.register("ann");
    (1..=30).for_each(|number| announce(&server, number));
    let stranger = v2(&server);
    stranger.subscribe(json!({"user_id": ann.id}));
    stranger.silence();
    let client = v2(&server);
    client.subscribe(json!({"token": token(&server, &ann)}));
    for number in 1..=30 {
        assert_eq!(client.hear_type("NEW_MANGA")["manga_id"], number);
    }
    announce(&server, 31);
    assert_eq!(client.hear_type("NEW_MANGA")["manga_id"], 31);
    client.subscribe(json!({"token": token(&server, &ann)}));
    let late = v1(&server);
    late.register(json!({"token": token(&server, &ann)}));
    announce(&server, 32);
    assert_eq!(client.hear_type("NEW_MANGA")["manga_id"], 32, "it was told something twice");
    assert_eq!(late.hear_type("notification")["data"]["manga_title"], "Series 32");
}

/// Who acknowledges is sent the same again until they do, then the next; what they never acknowledged
/// comes again when they register again, and only that.
#[test]
fn unacknowledged_is_sent_again() {
    let server = TestServer::with(|config| config.udp.resend_ms = 100);
    let ann = server.register("ann");
    let client = v2(&server);
    client.subscribe(json!({"token": token(&server, &ann), "ack": true}));
    (1..=3).for_each(|number| announce(&server, number));
    let first = client.hear_type("NEW_MANGA");
    assert_eq!(first["manga_id"], 1);
    assert_eq!(client.hear(), first, "sent again");
    client.send(&json!({"type": "ACK", "id": 9999}));
    assert_eq!(client.hear(), first, "and again");
    client.send(&json!({"type": "ACK", "id": first["id"]}));
    let second = next_after(&client, &first);
    assert_eq!(second["manga_id"], 2);
    // It comes back from another port, having forgotten the rest.
    client.send(&json!({"type": "UNSUBSCRIBE"}));
    let again = v2(&server);
    again.subscribe(json!({"token": token(&server, &ann)}));
    assert_eq!(again.hear_type("NEW_MANGA"), second);
    assert_eq!(again.hear_type("NEW_MANGA")["manga_id"], 3);
    again.silence();
}

/// The next message that is not this one: it may have been sent again meanwhile.
fn next_after(client: &UdpClient, before: &Value) -> Value {
    std::iter::repeat_with(|| client.hear()).find(|message| message != before).unwrap()
}

/// Logging out everywhere, or a new password, ends the verified leases at once and touches no others; the
/// token is void too.
#[test]
fn revocation_ends_verified_leases() {
    let server = TestServer::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let (client, other, stranger) = (v2(&server), v2(&server), v2(&server));
    let old = token(&server, &ann);
    client.subscribe(json!({"token": old}));
    other.subscribe(json!({"token": token(&server, &bob)}));
    stranger.subscribe(json!({"user_id": ann.id}));
    await_leases(&server, 2, 1);
    server.http().post("/api/v1/auth/logout-all", Some(&ann.token), &json!({})).data(200);
    await_leases(&server, 1, 1);
    client.send(&json!({"type": "SUBSCRIBE", "token": old}));
    client.silence();
    announce(&server, 1);
    other.hear_type("NEW_MANGA");
    stranger.hear_type("NEW_MANGA");
    client.silence();
}

/// When another process voids somebody's tokens, the server ends their leases and WebSockets, and leaves
/// those of others alone.
#[test]
fn another_process_ends_leases_and_websockets() {
    let server = TestServer::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let listen = |account: &Account| {
        let client = v2(&server);
        client.subscribe(json!({"token": token(&server, account)}));
        (client, WsClient::open(server.address("http"), &format!("/ws?token={}", account.token)))
    };
    let ((gone, mut closed), (client, mut open)) = (listen(&ann), listen(&bob));
    await_leases(&server, 2, 0);
    let arguments = ["--set", "store.url=sqlite:./mangahub.db", "admin", "delete-user", "ann", "--yes"];
    let done = common::run(server.folder(), &arguments, "");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    await_leases(&server, 1, 0);
    closed.expect_close(1008);
    announce(&server, 1);
    assert_eq!(client.hear_type("NEW_MANGA")["manga_id"], 1);
    gone.silence();
    open.expect_alive();
}

/// What was told right before an orderly end is not told again after the next start.
#[test]
fn a_restart_tells_nothing_twice() {
    let mut server = TestServer::start();
    let ann = server.register("ann");
    let client = v2(&server);
    client.subscribe(json!({"token": token(&server, &ann)}));
    (1..=3).for_each(|number| announce(&server, number));
    (1..=3).for_each(|number| assert_eq!(client.hear_type("NEW_MANGA")["manga_id"], number));
    server.restart_with(|_| {});
    announce(&server, 4);
    let again = v2(&server);
    again.subscribe(json!({"token": token(&server, &ann)}));
    assert_eq!(again.hear_type("NEW_MANGA")["manga_id"], 4);
    again.silence();
}

/// A silent address is forgotten; one that pings is not, and the listening client of the first dialect is
/// kept for longer.
#[test]
fn silence_ends_a_lease() {
    let server = TestServer::with(|config| config.udp.lease_seconds = 1);
    let (silent, listener) = (v2(&server), v1(&server));
    silent.subscribe(json!({}));
    listener.register(json!({}));
    await_leases(&server, 0, 1);
    announce(&server, 1);
    listener.hear_type("notification");
    listener.silence_v1();
    await_leases(&server, 0, 0);
}

/// A verified address hears of its own user's progress if it asks, in its own shape, and of nobody else's.
#[test]
fn an_address_hears_of_its_own_progress() {
    let server = TestServer::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let (first, second, plain) = (v1(&server), v2(&server), v2(&server));
    first.register(json!({"token": token(&server, &ann), "topics": ["progress"]}));
    second.subscribe(json!({"token": token(&server, &ann), "topics": ["progress"]}));
    plain.subscribe(json!({"token": token(&server, &ann)}));
    for (account, chapter) in [(&bob, 3), (&ann, 7)] {
        let mut line = server.session_v1(account);
        let data = json!({"manga_id": ONGOING, "current_chapter": chapter});
        line.send(&json!({"type": "progress", "timestamp": "2026-11-21T10:00:00Z", "data": data}));
        line.expect("broadcast");
    }
    let told = first.hear_type("progress");
    assert_eq!((&told["data"]["manga_id"], &told["data"]["current_chapter"]), (&json!(ONGOING), &json!(7)));
    let told = second.hear_type("PROGRESS");
    assert_eq!((&told["username"], &told["chapter"]), (&json!("ann"), &json!(7)));
    plain.silence();
}

/// On an isolated network the operator may let addresses be believed; nobody is displaced for that.
#[test]
fn claims_are_believed_only_where_the_operator_says_so() {
    let server = TestServer::with(|config| config.udp.allow_unverified_replay = true);
    let ann = server.register("ann");
    announce(&server, 1);
    let client = v2(&server);
    client.subscribe(json!({"user_id": "nobody-like-that"}));
    await_leases(&server, 0, 1);
    client.subscribe(json!({"user_id": ann.id}));
    assert_eq!(client.hear_type("NEW_MANGA")["manga_id"], 1);
    await_leases(&server, 1, 0);
}

/// Programs of one machine without a token have so many places and no more: one more takes that of the one
/// that was silent for longest. Those with a token are not among them.
#[test]
fn one_machine_has_so_many_places() {
    let server = TestServer::with(|config| config.udp.leases_per_address = 3);
    let ann = server.register("ann");
    let verified = v2(&server);
    verified.subscribe(json!({"token": token(&server, &ann)}));
    let strangers: Vec<_> = (0..5).map(|_| v2(&server)).collect();
    strangers.iter().for_each(|stranger| stranger.subscribe(json!({})));
    await_leases(&server, 1, 3);
    announce(&server, 1);
    strangers[..2].iter().for_each(UdpClient::silence);
    for hears in strangers[2..].iter().chain([&verified]) {
        assert_eq!(hears.hear_type("NEW_MANGA")["manga_id"], 1);
    }
}

/// An address that sends too much is not heard for a while, and the others are.
#[test]
fn an_address_has_a_rate() {
    let server = TestServer::start();
    let (busy, other) = (v2(&server), v2(&server));
    server.await_varz("ignored datagrams", |varz| {
        (0..200).for_each(|_| busy.send(&json!({"type": "PING"})));
        varz["datagrams"]["ignored"].as_u64() > Some(100)
    });
    other.silence();
}

/// A script that somebody wrote by hand hears what its user missed, in both dialects, and never again what
/// it acknowledged.
#[test]
fn a_script_hears_and_acknowledges() {
    let server = TestServer::start();
    let ann = server.register("ann");
    (1..=3).for_each(|number| announce(&server, number));
    let run = |service: &str, dialect: &str| -> Value {
        let address = server.address(service);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/udp_client.py");
        let mut command = std::process::Command::new("python3");
        command.arg(script).args([address.ip().to_string(), address.port().to_string()]);
        let output = command.args([dialect, &token(&server, &ann)]).output();
        let output = output.unwrap_or_else(|error| panic!("this test needs python3 in the PATH: {error}"));
        assert!(output.status.success(), "the script failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(run("udp_v1", "v1")["data"]["manga_title"], "Series 1");
    // Its acknowledgement and the next registration are looked at in the order in which they come.
    assert_eq!(run("udp_v1", "v1")["data"]["manga_title"], "Series 2");
    assert_eq!(run("udp_v2", "v2")["manga_id"], 3);
}

/// Both services are in the ports that tools read, and a server without them runs.
#[test]
fn udp_can_be_switched_off() {
    let server = TestServer::with(|config| (config.udp.v1, config.udp.v2) = Default::default());
    let addresses = server.running().addresses();
    let off = |name| addresses.iter().any(|(other, list)| *other == name && list.is_empty());
    assert!(off("udp_v1") && off("udp_v2"));
    assert_eq!(server.http().get("/health", None).status, 200);
}
