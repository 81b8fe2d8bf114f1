//! Every protocol at once: what happens is heard on each in its own shape, in the same order, and somebody
//! who stalls on one of them delays nobody on any.

mod common;

use common::ears::Ears;
use common::{Account, ONGOING, TestServer};
use serde_json::json;

fn read(server: &TestServer, account: &Account, chapter: u32) {
    let body = json!({"manga_id": ONGOING, "current_chapter": chapter});
    server.http().put("/users/progress", Some(&account.token), &body).data(200);
}

/// A progress update, a new chapter and an update again arrive on all five, each in its own shape, and in
/// that order.
#[test]
fn every_protocol_hears_what_happens() {
    // Nothing comes twice, so that each one's next message is known.
    let server = TestServer::with(|config| config.udp.resend_ms = 60_000);
    let ann = server.register("ann");
    let key = server.http().get(&format!("/api/v1/manga/{ONGOING}"), None).data(200)["manga"]["key"].clone();
    let body = json!({"manga_id": ONGOING, "status": "reading"});
    server.http().post("/api/v1/users/library", Some(&ann.token), &body).data(201);
    let mut ears = Ears::new(&server, &ann);

    read(&server, &ann, 7);
    let [v1, v2, udp_v1, udp_v2, ws] = ears.progress();
    for first in [v1, udp_v1] {
        assert_eq!((&first["manga_id"], &first["current_chapter"]), (&json!(ONGOING), &json!(7)));
    }
    for second in [v2, udp_v2] {
        assert_eq!((&second["manga_id"], &second["chapter"]), (&key, &json!(7)));
    }
    assert_eq!((&ws["type"], &ws["manga_slug"], &ws["chapter"]), (&json!("progress"), &json!(ONGOING), &json!(7)));

    let body = json!({"manga_id": key, "title": "Berserk", "chapter": 999, "old_chapter": 998});
    assert_eq!(server.internal().post("/notify/new-chapter", None, &body).status, 202);
    let message = json!("New chapter 999 available (was chapter 998)");
    let [v1, v2, udp_v1, udp_v2, ws] = ears.notification("NEW_CHAPTER");
    for first in [v1, udp_v1] {
        assert_eq!((&first["manga_id"], &first["chapter_number"]), (&json!(ONGOING), &json!(999)));
        assert_eq!(first["message"], message);
    }
    let change = json!([{"field": "current_chapter", "old_value": 998, "new_value": 999}]);
    for second in [v2, udp_v2] {
        assert_eq!((&second["type"], &second["manga_id"]), (&json!("NEW_CHAPTER"), &key));
        assert_eq!((&second["message"], &second["data"]["chapter"]), (&message, &json!(999)));
        assert_eq!(second["changes"], change);
    }
    assert_eq!((&ws["type"], &ws["message"], &ws["title"]), (&json!("notification"), &message, &json!("Berserk")));
    assert_eq!(ws["data"]["manga_id"], ONGOING);

    read(&server, &ann, 8);
    assert!(ears.progress().iter().all(|heard| heard["chapter_exact"] == 8));

    let said = server.http().get(&format!("/api/v1/chat/rooms/{ONGOING}/messages"), Some(&ann.token)).json();
    assert_eq!(said["data"]["items"][0]["content"], "New Chapter Release: Berserk - Chapter 999!");
}

/// Clients that read nothing and acknowledge nothing, one of each protocol, are ended when too much is owed
/// to them, and until then and afterwards everybody else hears everything: progress and notifications. An
/// address is never ended for that. What it has not acknowledged waits for it, and for nobody else.
#[test]
fn who_stalls_delays_nobody() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 0;
        config.limits.send_bytes_per_connection = 64 * 1024;
        config.tcp.broadcasts_per_second = 0;
        // Nothing comes twice, so that each one's next message is known.
        config.udp.resend_ms = 60_000;
        config.udp.datagrams_per_second = 0;
    });
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut stalled = Ears::new(&server, &bob);
    let mut ears = Ears::new(&server, &ann);
    let mut publisher = server.session_v1(&ann);
    let mut internal = server.internal();
    let (manga, title) = ("画".repeat(200), "漫".repeat(200));
    // More than the kernel holds for somebody who does not read, some at a time.
    for first in (1..=7_500).step_by(25) {
        let some = first..first + 25;
        for chapter in some.clone() {
            let data = json!({"manga_id": manga, "manga_title": title, "current_chapter": chapter});
            publisher.say("progress", data);
        }
        for chapter in some {
            assert_eq!(publisher.expect("broadcast")["data"]["current_chapter"], chapter);
            let [v1, v2, udp_v1, udp_v2, ws] = ears.progress();
            assert!([v1, udp_v1].iter().all(|heard| heard["current_chapter"] == chapter));
            assert!([v2, udp_v2, ws].iter().all(|heard| heard["chapter"] == chapter));
        }
        // It need not be in the catalogue.
        let number = 1_000_000 + first;
        let body = json!({"manga_id": number, "title": format!("Series {number}")});
        assert_eq!(internal.post("/notify/new-manga", None, &body).status, 202);
        let told = ears.notification("NEW_MANGA");
        assert!(told.iter().all(|told| told["message"] == format!("New manga added: Series {number}")), "{told:?}");
    }
    // A WebSocket's last word is why; it waits until whoever stalled reads on.
    stalled.ws.expect_close(1013);
    for protocol in ["tcp_v1", "tcp_v2", "ws"] {
        assert_eq!(server.await_closed(protocol, "slow_consumer")["user"], "bob", "{protocol}");
    }
    assert_eq!(server.varz()["datagrams"]["dropped"], 0, "a queue grew behind somebody who acknowledges nothing");
    // The first one that was sent to the address that stalled is still the only one.
    for number in [1, 26, 51] {
        let heard = || Some(stalled.udp_v2.hear()).filter(|heard| heard["type"] == "NEW_MANGA");
        let told = std::iter::repeat_with(heard).flatten().next().unwrap();
        assert_eq!(told["manga_id"], 1_000_000 + number);
        stalled.udp_v2.send(&json!({"type": "ACK", "id": told["id"]}));
    }
}
