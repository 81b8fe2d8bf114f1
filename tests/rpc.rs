//! gRPC, spoken by Google's own client with the messages of this repository's `.proto` files, beside
//! clients of the other protocols; and the known attacks on HTTP/2.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use jsonwebtoken::{EncodingKey, Header};
use mangahub::config::Synchronous;
use mangahub::handlers::api::{ApiError, Origin, Reply, Via};
use mangahub::handlers::key::ConnKey;
use mangahub::handlers::remote::{Remote, Waiting};
use mangahub::handlers::work::Work;
use mangahub::store::{Store, StoreOptions, open};

use common::grpc::{GrpcClient as Client, python};
use common::{Account, COMPLETED, DEADLINE, ONGOING, SECRET, TestServer};
use serde_json::{Value, json};

/// The key of a series.
fn key(server: &TestServer, slug: &str) -> i64 {
    server.http().get(&format!("/api/v1/manga/{slug}"), None).data(200)["manga"]["key"].as_i64().unwrap()
}

/// Both families' services show and find series, each in its own messages, on one port.
#[test]
fn both_families_read_the_catalogue() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let id = key(&server, ONGOING);
    // Twice: the second answer is the kept one.
    for _ in 0..2 {
        let first = client.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
        assert_eq!(
            (&first["id"], &first["title"], &first["status"]),
            (&json!(ONGOING), &json!("Berserk"), &json!("ongoing"))
        );
        let second = client.good("pb.MangaService/GetManga", json!({"manga_id": id}), None);
        assert_eq!((&second["manga"]["id"], &second["manga"]["source"]), (&json!(id.to_string()), &json!("local")));
        let own = client.good("mangahub.v1.CatalogueService/GetManga", json!({"manga": ONGOING}), None);
        assert_eq!((&own["slug"], &own["id"]), (&json!(ONGOING), &json!(id.to_string())));
    }
    let found = client.good("manga.MangaService/SearchManga", json!({"title": "berserk"}), None);
    let titles: Vec<_> =
        found["manga"].as_array().unwrap().iter().map(|manga| manga["title"].as_str().unwrap()).collect();
    assert!(titles.contains(&"Berserk") && found["total"] == titles.len(), "{found}");
    let page = client.good("manga.MangaService/SearchManga", json!({"limit": 2, "offset": 1}), None);
    assert!(page["manga"].as_array().unwrap().len() == 2 && page["total"].as_i64().unwrap() > 100);
    let found = client.good("pb.MangaService/SearchManga", json!({"query": "", "limit": 50}), None);
    assert_eq!((found["mangas"].as_array().unwrap().len(), &found["total_count"]), (20, &json!("20")));
    let found = client.good("mangahub.v1.CatalogueService/SearchManga", json!({"query": "berserk"}), None);
    assert_eq!(found["items"][0]["slug"], ONGOING);
    // Whatever a limit below nothing means, it is no more than the usual; each row says where it is from.
    let found = client.good("pb.MangaService/SearchManga", json!({"query": "", "limit": -5}), None);
    let rows = found["mangas"].as_array().unwrap();
    assert!(rows.len() == 20 && rows.iter().all(|row| row["source"] == "local"), "{found}");
    // Whoever drew a series is its second author there.
    let drawn = client.good("pb.MangaService/GetManga", json!({"manga_id": key(&server, "act-age")}), None);
    assert!(drawn["manga"].to_string().contains("Shiro Usazaki"), "{drawn}");
    let genres = client.good("mangahub.v1.CatalogueService/ListGenres", json!({}), None);
    assert!(genres["items"].as_array().unwrap().len() > 5);
}

/// What is wrong has its code, and the message says what.
#[test]
fn errors_have_their_codes() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let alice = server.register("alice");
    let refusals = [
        ("manga.MangaService/GetManga", json!({"manga_id": "no-such-series"}), "NOT_FOUND"),
        ("manga.MangaService/GetManga", json!({}), "INVALID_ARGUMENT"),
        ("manga.MangaService/GetManga", json!({"manga_id": "a\u{0}b"}), "INVALID_ARGUMENT"),
        ("manga.MangaService/SearchManga", json!({"status": "lost"}), "INVALID_ARGUMENT"),
        ("manga.MangaService/SearchManga", json!({"title": "x".repeat(301)}), "INVALID_ARGUMENT"),
        ("pb.MangaService/GetManga", json!({"manga_id": -1}), "NOT_FOUND"),
        ("manga.MangaService/UpdateProgress", json!({"manga_id": ONGOING, "chapter": 1}), "UNAUTHENTICATED"),
        ("pb.MangaService/UpdateProgress", json!({"manga_id": 1, "chapter": 1}), "UNAUTHENTICATED"),
        ("mangahub.v1.LibraryService/ListLibrary", json!({}), "UNAUTHENTICATED"),
        ("mangahub.v1.CatalogueService/SearchManga", json!({"rating_min": "NaN"}), "INVALID_ARGUMENT"),
    ];
    for (method, message, code) in refusals {
        assert_eq!(client.refused(method, message.clone(), None), code, "{method} {message}");
    }
    let refusals = [
        (json!({"manga_id": ONGOING, "chapter": -1}), "INVALID_ARGUMENT"),
        (json!({"manga_id": COMPLETED, "chapter": 100_000}), "INVALID_ARGUMENT"),
        (json!({"manga_id": ONGOING, "chapter": 1, "rating": 11}), "INVALID_ARGUMENT"),
        (json!({"manga_id": ONGOING, "chapter": 1, "user_id": "somebody"}), "PERMISSION_DENIED"),
    ];
    for (message, code) in refusals {
        assert_eq!(
            client.refused("manga.MangaService/UpdateProgress", message.clone(), Some(&alice)),
            code,
            "{message}"
        );
    }
    let bad = client.call("mangahub.v1.ProgressService/ListProgress", json!({}), json!({"token": "not.a.token"}));
    assert_eq!((&bad["code"], &bad["details"]), (&json!("UNAUTHENTICATED"), &json!("Invalid or expired token")));
    let unreadable = client.call("manga.MangaService/GetManga", json!({}), json!({"raw": "\u{7f}\u{7f}"}));
    assert_eq!(unreadable["code"], "INVALID_ARGUMENT");
    // The second family's clients look into the answer.
    let answer =
        client.good("pb.MangaService/UpdateProgress", json!({"manga_id": 999_999, "chapter": 1}), Some(&alice));
    assert_eq!(answer, json!({"success": false, "message": "failed to update: Manga not found"}));
}

/// An update by gRPC is stored, and told to sync connections and to streams by the one way there is.
#[test]
fn an_update_reaches_everybody() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut session = server.session_v1(&bob);
    let mut client = Client::of(&server);
    let watch = "mangahub.v1.ProgressService/WatchProgress";
    client.ask(json!({"do": "open", "stream": "all", "method": watch, "token": bob.token}));
    client.ask(json!({"do": "open", "stream": "own", "method": watch, "message": {"own": true}, "token": alice.token}));
    let message = json!({"user_id": alice.id, "manga_id": ONGOING, "chapter": 42, "status": "", "rating": 0});
    let stored = client.good("manga.MangaService/UpdateProgress", message, Some(&alice))["progress"].clone();
    assert_eq!((&stored["current_chapter"], &stored["completed_at"]), (&json!(42), &json!("0")));
    assert_eq!((&stored["user_id"], &stored["status"]), (&json!(alice.id), &json!("reading")));
    let told = session.expect("broadcast");
    assert_eq!((&told["data"]["manga_id"], &told["data"]["current_chapter"]), (&json!(ONGOING), &json!(42)));
    for stream in ["all", "own"] {
        let told = client.ask(json!({"do": "next", "stream": stream}));
        assert_eq!(
            (&told["message"]["username"], &told["message"]["chapter"]),
            (&json!("alice"), &json!(42.0)),
            "{told}"
        );
    }
    // What others do is not the own stream's; what is done over HTTP and sync is told to streams as well.
    let answer = client.good(
        "pb.MangaService/UpdateProgress",
        json!({"manga_id": key(&server, ONGOING), "chapter": 7}),
        Some(&bob),
    );
    assert_eq!(answer["success"], true);
    let body = json!({"current_chapter": 43});
    server.http().put(&format!("/api/v1/users/progress/{ONGOING}"), Some(&alice.token), &body).data(200);
    let told: Vec<_> =
        (0..2).map(|_| client.ask(json!({"do": "next", "stream": "all"}))["message"]["chapter"].clone()).collect();
    assert_eq!(told, [json!(7.0), json!(43.0)]);
    assert_eq!(client.ask(json!({"do": "next", "stream": "own"}))["message"]["chapter"], 43.0);
    // Private changes are their owner's alone.
    let private = json!({"manga": ONGOING, "chapter": 44.5, "private": true});
    client.good("mangahub.v1.ProgressService/UpdateProgress", private, Some(&alice));
    assert_eq!(client.ask(json!({"do": "next", "stream": "own"}))["message"]["chapter"], 44.5);
    let public = json!({"manga": COMPLETED, "chapter": 2, "private": false});
    client.good("mangahub.v1.ProgressService/UpdateProgress", public, Some(&alice));
    assert_eq!(client.ask(json!({"do": "next", "stream": "own"}))["message"]["chapter"], 2.0);
    let heard = client.ask(json!({"do": "next", "stream": "all"}));
    assert_eq!(heard["message"]["manga"], COMPLETED, "and nothing private before it");
    // A token that is voided ends its user's streams.
    server.http().post("/api/v1/auth/logout-all", Some(&alice.token), &json!({})).data(200);
    assert_eq!(client.ask(json!({"do": "next", "stream": "own"}))["code"], "UNAUTHENTICATED");
    client.ask(json!({"do": "cancel", "stream": "all"}));
    assert_eq!(client.ask(json!({"do": "next", "stream": "all"}))["code"], "CANCELLED");
}

/// A call that its client gives up makes room at once, and one beyond the bound is told so.
#[test]
fn a_call_that_is_given_up_leaves_nothing() {
    let server = TestServer::with(|config| config.grpc.calls = 2);
    let alice = server.register("alice");
    let mut client = Client::of(&server);
    let watch = "mangahub.v1.ProgressService/WatchProgress";
    for _ in 0..5 {
        for stream in ["one", "two"] {
            client.ask(json!({"do": "open", "stream": stream, "method": watch, "token": alice.token}));
        }
        let third = client.refused("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
        assert_eq!(third, "RESOURCE_EXHAUSTED");
        for stream in ["one", "two"] {
            client.ask(json!({"do": "cancel", "stream": stream}));
            assert_eq!(client.ask(json!({"do": "next", "stream": stream}))["code"], "CANCELLED");
        }
        client.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
    }
}

/// Somebody who has given up.
struct Gone;

impl Waiting for Gone {
    fn peer(&self) -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn has_left(&self) -> bool {
        true
    }

    fn answer(&self, _: Result<Reply, ApiError>) {
        panic!("nobody hears this");
    }

    fn admitted(&self) {}

    fn tell(&self, _: Bytes) -> bool {
        false
    }
}

/// A job that waits in its lane while its caller gives up is not run.
#[test]
fn work_for_nobody_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/hub.db", folder.path().display());
    let mut store = open(&StoreOptions { url, readers: 1, full_sync: false }).unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    let mut job = |remote| {
        let conn = ConnKey { index: 0, generation: 0 };
        let origin = Origin { via: Via(0), conn, since_ms: 0, user: None, remote };
        let note = ran.clone();
        let work = move |_: &mut dyn Store| {
            note.store(true, Ordering::Relaxed);
            Ok(())
        };
        let mut job = Work::new(origin, work, |_, _, _| Ok(()));
        store.writer.run(&mut [&mut job]);
        ran.swap(false, Ordering::Relaxed)
    };
    assert!(job(None));
    assert!(!job(Some(Remote(Arc::new(Gone)))));
}

/// A library, its progress, history and ratings, all by this server's own services.
#[test]
fn a_reader_lives_on_grpc() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = Client::of(&server);
    let add = json!({"manga": ONGOING, "status": "reading", "chapter": 1});
    client.good("mangahub.v1.LibraryService/AddToLibrary", add.clone(), Some(&alice));
    assert_eq!(client.refused("mangahub.v1.LibraryService/AddToLibrary", add, Some(&alice)), "ALREADY_EXISTS");
    let update = json!({"manga": ONGOING, "chapter": 5.5, "volume": 2, "rating": 9, "note": "two\nlines"});
    let update = client.call(
        "mangahub.v1.ProgressService/UpdateProgress",
        update,
        json!({"token": alice.token, "device": "phone"}),
    );
    assert_eq!((&update["message"]["chapter"], &update["message"]["volume"]), (&json!(5.5), &json!(2)), "{update}");
    let shelf = client.good("mangahub.v1.LibraryService/ListLibrary", json!({"status": "reading"}), Some(&alice));
    assert_eq!((&shelf["total"], &shelf["items"][0]["manga"]["slug"]), (&json!("1"), &json!(ONGOING)));
    let row = client.good("mangahub.v1.ProgressService/GetProgress", json!({"manga": ONGOING}), Some(&alice));
    assert_eq!((&row["rating"], &row["note"], &row["in_library"]), (&json!(9), &json!("two\nlines"), &json!(true)));
    let rows = client.good("mangahub.v1.ProgressService/ListProgress", json!({}), Some(&alice));
    assert_eq!(rows["items"][0]["manga_title"], "Berserk");
    let history = client.good("mangahub.v1.ProgressService/ListHistory", json!({"manga": ONGOING}), Some(&alice));
    assert_eq!((&history["items"][0]["chapter"], &history["items"][0]["device"]), (&json!(5.5), &json!("phone")));
    let rated =
        client.good("mangahub.v1.RatingService/RateManga", json!({"manga": ONGOING, "rating": 7}), Some(&alice));
    assert_eq!((&rated["mine"], &rated["average"], &rated["count"]), (&json!(7), &json!(7.0), &json!("1")));
    client.good("mangahub.v1.RatingService/DeleteRating", json!({"manga": ONGOING}), Some(&alice));
    let rating = client.good("mangahub.v1.RatingService/GetRating", json!({"manga": ONGOING}), Some(&alice));
    assert_eq!((&rating["mine"], &rating["count"]), (&Value::Null, &json!("0")));
    client.good("mangahub.v1.LibraryService/RemoveFromLibrary", json!({"manga": ONGOING}), Some(&alice));
    client.good("mangahub.v1.ProgressService/DeleteProgress", json!({"manga": ONGOING}), Some(&alice));
    assert_eq!(
        client.refused("mangahub.v1.ProgressService/GetProgress", json!({"manga": ONGOING}), Some(&alice)),
        "NOT_FOUND"
    );
}

/// What a user changes counts against the rate that all wires share; looking is free, and nobody else pays.
#[test]
fn changes_are_metered() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 3;
        // On a slow disk each change would wait until there is room for the next.
        config.store.synchronous = Synchronous::Normal;
    });
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut client = Client::of(&server);
    let update = json!({"manga_id": ONGOING, "chapter": 1});
    // More than a second's tokens could make up for while they are sent.
    assert!(refusals(&mut client, &update, &ann) > 20);
    for _ in 0..10 {
        client.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), Some(&ann));
    }
    client.good("manga.MangaService/UpdateProgress", update, Some(&bob));
}

/// How many of forty updates are refused for coming too often.
fn refusals(client: &mut Client, update: &Value, by: &Account) -> usize {
    let codes = (0..40).map(|_| client.refused("manga.MangaService/UpdateProgress", update.clone(), Some(by)));
    codes.filter(|code| code == "RESOURCE_EXHAUSTED").count()
}

/// Where the operator wants to be asked, a chapter behind the stored one is refused until it is insisted on. The
/// first family's messages have whole chapters, rounded down.
#[test]
fn what_is_behind_is_asked_about() {
    use mangahub::config::ConflictRule;
    let server = TestServer::with(|config| config.sync.conflict = ConflictRule::Ask);
    let alice = server.register("alice");
    let mut client = Client::of(&server);
    let own = "mangahub.v1.ProgressService/UpdateProgress";
    client.good(own, json!({"manga": ONGOING, "chapter": 9.5}), Some(&alice));
    let behind = json!({"manga_id": ONGOING, "chapter": 3});
    assert_eq!(client.refused("manga.MangaService/UpdateProgress", behind, Some(&alice)), "ABORTED");
    client.good(own, json!({"manga": ONGOING, "chapter": 5.5, "force": true}), Some(&alice));
    let on = json!({"manga_id": ONGOING, "chapter": 6, "rating": 8});
    client.good(own, json!({"manga": ONGOING, "chapter": 6.5}), Some(&alice));
    assert_eq!(client.refused("manga.MangaService/UpdateProgress", on, Some(&alice)), "ABORTED");
    let on = json!({"manga_id": ONGOING, "chapter": 7, "rating": 8});
    let stored = client.good("manga.MangaService/UpdateProgress", on, Some(&alice));
    assert_eq!((&stored["progress"]["current_chapter"], &stored["progress"]["rating"]), (&json!(7), &json!(8)));
}

/// Where the operator has opened gRPC, a service without a token changes its users' progress.
#[test]
fn an_isolated_network_needs_no_token() {
    let server = TestServer::with(|config| config.grpc.allow_unauthenticated = true);
    let alice = server.register("alice");
    let mut client = Client::of(&server);
    let update = |user: &str| json!({"user_id": user, "manga_id": ONGOING, "chapter": 3});
    let stored = client.good("manga.MangaService/UpdateProgress", update(&alice.id), None);
    assert_eq!(stored["progress"]["user_id"], json!(alice.id));
    assert_eq!(client.refused("manga.MangaService/UpdateProgress", update("nobody"), None), "NOT_FOUND");
    assert_eq!(client.refused("manga.MangaService/UpdateProgress", update(""), None), "UNAUTHENTICATED");
}

/// An administrator's token with these scopes, or with all that the role has.
fn admin(server: &TestServer, name: &str, scopes: Option<&[&str]>) -> Account {
    let mut boss = server.register(name);
    let now = jiff::Timestamp::now().as_second();
    let mut claims =
        json!({"user_id": boss.id, "username": boss.username, "role": "admin", "iat": now, "exp": now + 3600});
    if let Some(scopes) = scopes {
        claims["scopes"] = json!(scopes);
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    boss.token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    boss
}

/// An administrator changes another reader's progress, unless the token's own scopes say less; everybody
/// hears of it under that reader's name.
#[test]
fn administrators_act_for_others() {
    let server = TestServer::start();
    let (alice, boss) = (server.register("alice"), admin(&server, "boss", None));
    let narrow = admin(&server, "narrow", Some(&["read:*"]));
    let mut session = server.session_v1(&alice);
    let mut client = Client::of(&server);
    let update = json!({"user_id": alice.id, "manga_id": ONGOING, "chapter": 8});
    assert_eq!(client.refused("manga.MangaService/UpdateProgress", update.clone(), Some(&narrow)), "PERMISSION_DENIED");
    let stored = client.good("manga.MangaService/UpdateProgress", update, Some(&boss));
    assert_eq!(stored["progress"]["user_id"], json!(alice.id));
    assert_eq!(session.expect("broadcast")["data"]["username"], "alice");
    let nobody = json!({"user_id": "nobody", "manga_id": ONGOING, "chapter": 8});
    assert_eq!(client.refused("manga.MangaService/UpdateProgress", nobody, Some(&boss)), "NOT_FOUND");
}

/// Compressed calls are answered compressed, a long answer arrives whole, and time that is over is over.
#[test]
fn compression_length_and_time() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let long = client.call("mangahub.v1.CatalogueService/SearchManga", json!({"limit": 1000}), json!({"gzip": true}));
    let plain = client.call("mangahub.v1.CatalogueService/SearchManga", json!({"limit": 1000}), json!({}));
    assert_eq!(long["code"], "OK");
    assert!(long == plain && long["message"]["items"].as_array().unwrap().len() > 100);
    let late = client.call("manga.MangaService/SearchManga", json!({}), json!({"timeout": 0.000_001}));
    assert_eq!(late["code"], "DEADLINE_EXCEEDED");
    let huge = json!({"title": "x".repeat(5 << 20)});
    assert_eq!(client.refused("manga.MangaService/SearchManga", huge, None), "RESOURCE_EXHAUSTED");
    // The connection lives on.
    client.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
}

/// Tools learn how the server is and what it speaks; a server that drains says so and ends its streams.
#[test]
fn tools_are_answered() {
    let mut server = TestServer::start();
    let alice = server.register("alice");
    let mut client = Client::of(&server);
    for service in ["", "manga.MangaService", "mangahub.v1.ProgressService", "grpc.health.v1.Health"] {
        assert_eq!(client.ask(json!({"do": "health", "service": service}))["status"], "SERVING", "{service}");
    }
    // What a status says arrives as it was said, whatever is in it.
    let nothing = client.ask(json!({"do": "health", "service": "100% Ōkami"}));
    assert_eq!(
        (&nothing["code"], &nothing["details"]),
        (&json!("NOT_FOUND"), &json!("There is no service 100% Ōkami"))
    );
    let watch = json!({"do": "open", "stream": "none", "method": "grpc.health.v1.Health/Watch",
        "message": {"service": "pb.Nothing"}});
    client.ask(watch);
    assert_eq!(client.ask(json!({"do": "next", "stream": "none"}))["message"]["status"], "SERVICE_UNKNOWN");
    client.ask(json!({"do": "cancel", "stream": "none"}));
    let services = client.ask(json!({"do": "reflect"}))["services"].clone();
    assert_eq!(services["pb.MangaService"], json!(["GetManga", "SearchManga", "UpdateProgress"]));
    assert_eq!(services["mangahub.v1.ProgressService"].as_array().unwrap().len(), 6);
    assert!(services.get("grpc.reflection.v1.ServerReflection").is_some());
    client.ask(json!({"do": "open", "stream": "health", "method": "grpc.health.v1.Health/Watch"}));
    assert_eq!(client.ask(json!({"do": "next", "stream": "health"}))["message"]["status"], "SERVING");
    let watch = "mangahub.v1.ProgressService/WatchProgress";
    client.ask(json!({"do": "open", "stream": "progress", "method": watch, "token": alice.token}));
    server.stop();
    assert_eq!(client.ask(json!({"do": "next", "stream": "health"}))["message"]["status"], "NOT_SERVING");
    for stream in ["health", "progress"] {
        assert_eq!(client.ask(json!({"do": "next", "stream": stream}))["code"], "UNAVAILABLE", "{stream}");
    }
}

/// What a hostile or mistaken peer is told, or how it is sent away.
fn attacked(address: SocketAddr, attack: &str) -> String {
    let output = python("h2_attacks.py")
        .args([&address.ip().to_string(), &address.port().to_string(), attack])
        .output()
        .unwrap();
    assert!(output.status.success(), "{attack}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The known attacks on HTTP/2 end their connection, what is merely wrong is answered, and everybody else
/// is served as before.
#[test]
fn attacks_end_their_connection() {
    let server = TestServer::start();
    let address = server.address("grpc");
    for attack in ["ping", "settings", "continuation", "rapid_reset"] {
        assert_eq!(attacked(address, attack), "closed", "{attack}");
    }
    assert_eq!(attacked(address, "long_head"), "431");
    assert_eq!(attacked(address, "huge_head"), "reset");
    assert_eq!(attacked(address, "no_grpc"), "415");
    assert_eq!(attacked(address, "bad_lengths"), "200 8");
    assert_eq!(attacked(address, "get"), "200");
    assert_eq!(attacked(address, "unknown_method"), "200 12");
    assert_eq!(attacked(address, "unknown_encoding"), "200 12");
    assert_eq!(attacked(address, "half_a_message"), "200 3");
    assert_eq!(attacked(address, "two_messages"), "200 3");
    // How each of them ended is counted.
    let metrics = server.internal().get("/metrics", None).text();
    let count = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("mangahub_grpc_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse::<f64>().unwrap()
    };
    assert_eq!(count("connections_closed_total{reason=\"flood\"}"), 4.0);
    assert_eq!(count("calls_ended_total{code=\"UNIMPLEMENTED\"}"), 2.0);
    assert_eq!(count("accept_errors_total"), 0.0);
    let mut client = Client::of(&server);
    client.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
}

/// A person who opens the port with something else is told what it is.
#[test]
fn the_port_explains_itself() {
    let server = TestServer::start();
    let answer = |request: &str| {
        let mut peer = TcpStream::connect(server.address("grpc")).unwrap();
        peer.set_read_timeout(Some(DEADLINE)).unwrap();
        peer.write_all(request.as_bytes()).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        text
    };
    let told = answer("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.contains("MangaHub gRPC"), "{told}");
    assert!(answer("POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 505 "));
}
