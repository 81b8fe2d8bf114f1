//! What is recommended to whom, and why.

mod common;

use std::path::Path;

use common::{Account, TestServer, await_true};
use mangahub::serve::at_once;
use mangahub::store::model::{ProgressChange, ReadingStatus, Role, User, UserId};
use mangahub::store::{self, Store, StoreOptions};
use serde_json::{Value, json};

/// A server whose catalogue has series of these slugs and genres.
fn server(series: &[(&str, &[&str])]) -> (TestServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue.json");
    let manga =
        |(slug, genres): &(&str, &[&str])| json!({"slug": slug, "title": slug, "status": "ongoing", "genres": genres});
    std::fs::write(&catalogue, Value::from_iter(series.iter().map(manga)).to_string()).unwrap();
    let server = TestServer::with(|config| config.store.catalogue = Some(catalogue.clone()));
    (server, folder)
}

fn shelve(server: &TestServer, account: &Account, manga: &[&str], more: Value) {
    let mut http = server.http();
    for slug in manga {
        let mut body = json!({"manga_id": slug, "status": "completed"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        http.post("/api/v1/users/library", Some(&account.token), &body).data(201);
    }
}

fn recommended(server: &TestServer, account: &Account) -> Vec<Value> {
    let reply = server.http().get("/api/v1/users/recommendations", Some(&account.token)).data(200);
    reply["items"].as_array().unwrap().clone()
}

fn slugs(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["manga_id"].as_str().unwrap()).collect()
}

/// What people with the same series like is recommended with its reasons, once it has been worked out;
/// what anybody keeps private is not, nor what they dropped, nor what the caller knows.
#[test]
fn recommendations_say_why() {
    let (mut server, folder) =
        server(&[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[]), ("secret", &[]), ("bad", &[]), ("unread", &[])]);
    let (alice, bob, cay) = (server.register("alice"), server.register("bob"), server.register("cay"));
    shelve(&server, &alice, &["a", "b"], json!({}));
    shelve(&server, &bob, &["a", "b", "c"], json!({}));
    shelve(&server, &cay, &["a", "d"], json!({}));
    shelve(&server, &cay, &["secret"], json!({"private": true}));
    shelve(&server, &bob, &["bad"], json!({"status": "dropped"}));
    let before = recommended(&server, &alice);
    assert!(before.iter().all(|item| item["reason"] == "popular"), "{before:?}");
    let catalogue = folder.path().join("catalogue.json");
    server.restart_with(|config| config.store.catalogue = Some(catalogue));
    let items = await_true("recommendations that were worked out", || {
        let items = recommended(&server, &alice);
        (!items[0]["because"].as_array().unwrap().is_empty()).then_some(items)
    });
    assert_eq!(slugs(&items)[..2], ["c", "d"]);
    assert_eq!(items[0]["because"], json!([{"manga_id": "b", "title": "b"}, {"manga_id": "a", "title": "a"}]));
    assert_eq!(items[0]["reason"], "because you read b, a");
    assert!(items[0]["score"].as_f64().unwrap() > items[1]["score"].as_f64().unwrap());
    for item in &items[2..] {
        assert_eq!((&item["reason"], &item["because"], &item["score"]), (&json!("popular"), &json!([]), &Value::Null));
    }
    let all = slugs(&items);
    assert!(!all.contains(&"a") && !all.contains(&"b"), "{all:?}");
    let one = server.http().get("/api/v1/users/recommendations?limit=1", Some(&alice.token)).data(200);
    assert_eq!(one["items"], json!([items[0]]));
    assert_eq!(recommended(&server, &alice), items, "the same again");
}

/// Without others to learn from, what is popular in the reader's genres comes first, then the rest.
#[test]
fn beginners_get_what_is_popular() {
    let (server, _folder) = server(&[("a", &["x"]), ("b", &["x"]), ("c", &["y"]), ("d", &["x", "y"])]);
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    shelve(&server, &bob, &["d", "c"], json!({"private": true}));
    assert_eq!(slugs(&recommended(&server, &alice)), ["c", "d", "a", "b"]);
    shelve(&server, &alice, &["a"], json!({}));
    let items = recommended(&server, &alice);
    assert_eq!(slugs(&items), ["d", "b", "c"]);
    let reasons: Vec<_> = items.iter().map(|item| item["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["popular in x", "popular in x", "popular"]);
}

/// Readers beyond the first slice count as well: who likes what the caller likes stands at the very end.
#[test]
fn everyone_is_looked_at() {
    let slugs: Vec<String> = (0..100).map(|number| format!("filler-{number}")).collect();
    let mut series: Vec<(&str, &[&str])> = slugs.iter().map(|slug| (slug.as_str(), &[][..])).collect();
    series.extend([("liked", &[][..]), ("hidden-gem", &[][..])]);
    let (mut server, folder) = server(&series);
    let alice = server.register("alice");
    shelve(&server, &alice, &["liked"], json!({}));
    server.stop();
    let fillers: Vec<i64> = (1..=100).collect();
    fill(server.folder(), &(0..60).map(|number| (format!("a{number:02}"), &fillers[..])).collect::<Vec<_>>());
    fill(server.folder(), &[("zoe".to_owned(), &[101, 102])]);
    let catalogue = folder.path().join("catalogue.json");
    server.restart_with(|config| config.store.catalogue = Some(catalogue));
    let items = await_true("the last reader's taste", || {
        let items = recommended(&server, &alice);
        (!items[0]["because"].as_array().unwrap().is_empty()).then_some(items)
    });
    assert_eq!((&items[0]["manga_id"], &items[0]["because"][0]["manga_id"]), (&json!("hidden-gem"), &json!("liked")));
}

/// Writes users and what they read straight into a stopped server's store.
fn fill(folder: &Path, readers: &[(String, &[i64])]) {
    let url = format!("sqlite:{}/mangahub.db", folder.display());
    let mut store = store::open(&StoreOptions { url, readers: 0, full_sync: false }).unwrap();
    for (name, series) in readers {
        let id = UserId::parse(name).unwrap();
        let email = format!("{name}@example.org");
        let user = User {
            id,
            username: name.clone(),
            email,
            password_hash: String::new(),
            role: Role::User,
            valid_from: 0,
            created_at: 0,
        };
        let work = |store: &mut dyn Store| {
            store.create_user(&user)?;
            series.iter().try_for_each(|&manga| store.update_progress(&read(&user.id, manga)).map(drop))
        };
        at_once(&mut *store.writer, work).unwrap();
    }
}

/// Somebody finishes a series.
fn read(user: &UserId, manga_id: i64) -> ProgressChange {
    ProgressChange { status: Some(ReadingStatus::Completed), ..ProgressChange::nothing(user.clone(), manga_id, 1) }
}

/// What can't be a limit is refused, and nobody is served without a token.
#[test]
fn recommendations_refuse_what_cannot_be() {
    let server = TestServer::with(|config| config.recommend.interval_minutes = 0);
    let alice = server.register("alice");
    let mut http = server.http();
    for wrong in ["0", "51", "-1", "x", "1.5", "99999999999999999999"] {
        let path = format!("/api/v1/users/recommendations?limit={wrong}");
        let message = http.get(&path, Some(&alice.token)).refused(400, "BAD_REQUEST");
        assert!(message.starts_with("limit: "), "{message}");
    }
    http.get("/api/v1/users/recommendations", None).refused(401, "UNAUTHORIZED");
    assert_eq!(recommended(&server, &alice).len(), 20);
}
