//! The catalogue over HTTP: the second family's routes, what administrators change in both families, and
//! what happens to requests that make no sense.

mod common;

use common::http::{HttpClient, Reply};
use common::{Account, PASSWORD, SECRET, TestServer};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

/// An administrator: a user with a token that says so.
fn admin(server: &TestServer) -> Account {
    let mut boss = server.register("boss");
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"user_id": boss.id, "username": boss.username, "role": "admin", "iat": now, "exp": now + 3600});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    boss.token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    boss
}

/// A client with a token.
struct Client {
    http: HttpClient,
    token: String,
}

impl Client {
    fn new(server: &TestServer, account: &Account) -> Self {
        Self { http: server.http(), token: account.token.clone() }
    }

    fn get(&mut self, path: &str) -> Reply {
        self.http.get(path, Some(&self.token))
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        self.http.json(method, path, Some(&self.token), Some(body))
    }

    fn delete(&mut self, path: &str) -> Reply {
        self.http.json("DELETE", path, Some(&self.token), None)
    }

    /// The body of an answer that is 200.
    fn body(&mut self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }
}

/// Asserts a refusal in the second family's shape; gives its text.
#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "{body}");
    body["error"].as_str().unwrap().to_owned()
}

fn titles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect()
}

// ---- the second family reads

/// The list comes in pages, the newest first, and says where it stands both ways that clients look for;
/// a page that can't be one is the first, and a slash at the end changes nothing.
#[test]
fn the_list_is_paged() {
    let server = TestServer::start();
    let mut client = Client::new(&server, &server.register("alice"));
    let page = client.body("/api/manga/?page=2&page_size=50");
    assert_eq!(page["data"].as_array().unwrap().len(), 50);
    let total = page["total"].as_u64().unwrap();
    for place in [&page, &page["pagination"]] {
        assert_eq!(place["page"], 2);
        assert_eq!(place["page_size"], 50);
        assert_eq!(place["total"], total);
        assert_eq!(place["total_pages"], total.div_ceil(50));
    }
    let item = &page["data"][0];
    assert!(item["id"].is_i64() && item["title"].is_string() && item["status"].is_string(), "{item}");
    assert!(item.get("cover_url").is_none() && item.get("average_rating").is_none(), "null is left out: {item}");
    assert!(item.get("slug").is_none() && item.get("genres").is_none(), "a list shows the brief shape: {item}");
    let first = client.body("/api/manga");
    assert_eq!((&first["page"], &first["page_size"]), (&json!(1), &json!(20)));
    for odd in ["page=0", "page=-1", "page=x", "page_size=0", "page_size=101", "page_size=1e9", "page="] {
        assert_eq!(client.body(&format!("/api/manga/?{odd}")), first, "{odd}");
    }
    for huge in ["page=4294967295&page_size=100", "page=2000000"] {
        assert_eq!(client.body(&format!("/api/manga/?{huge}"))["data"], json!([]), "{huge}");
    }
}

/// A search finds series whose titles, names or slug have every word; an accent or a case is no difference.
#[test]
fn words_are_searched() {
    let server = TestServer::start();
    let mut client = Client::new(&server, &server.register("alice"));
    let found = client.body("/api/manga/search?q=ATTACK%20titan");
    assert_eq!((titles(&found["data"]), &found["total"]), (vec!["Attack on Titan"], &json!(1)));
    for query in ["q=shingeki", "title=isayama%20attack", "q=%E9%80%B2%E6%92%83", "q=attack-on-titan", "q=tit%C3%A0n"] {
        let found = client.body(&format!("/api/manga/search?{query}"));
        assert!(titles(&found["data"]).contains(&"Attack on Titan"), "{query}: {found}");
    }
    assert_eq!(client.body("/api/manga/search?q=attack%20zzz"), json!({"data": [], "total": 0}));
    for missing in ["", "?q=", "?q=%20%20", "?title=", "?query=x"] {
        let reply = client.get(&format!("/api/manga/search{missing}"));
        assert_eq!(refused(&reply, 400), "q or title query parameter is required", "{missing}");
    }
    let all = client.body("/api/manga/search?q=a");
    assert_eq!(all["data"].as_array().unwrap().len(), 100, "so many are shown, and no more");
    assert!(all["total"].as_u64().unwrap() > 100);
}

/// Filters narrow a list down together, are told back as they were understood, and are refused in the
/// words that clients know.
#[test]
fn filters_narrow_down() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = Client::new(&server, &alice);
    let page = client
        .body("/api/manga/advanced-search?q=walls&status=completed&genres=Action,drama&sort_by=title&page_size=1");
    let filters = json!({"query": "walls", "genres": ["Action", "drama"], "status": "completed", "min_rating": 0.0,
        "sort_by": "title"});
    assert_eq!(page["filters"], filters);
    let all = client.body("/api/manga/advanced-search?genres=action&page_size=2&page=2");
    assert_eq!((&all["pagination"]["has_next"], &all["pagination"]["has_previous"]), (&json!(true), &json!(true)));
    let last = all["pagination"]["total_pages"].as_u64().unwrap();
    let all = client.body(&format!("/api/manga/advanced-search?genres=action&page_size=2&page={last}"));
    assert_eq!(all["pagination"]["has_next"], json!(false));
    let genres = client.body("/api/genres/");
    let action = genres.as_array().unwrap().iter().find(|genre| genre["name"] == "action").unwrap()["id"].clone();
    let by_id = client.body(&format!("/api/manga/advanced-search?genres={action}&page_size=2"));
    assert_eq!(by_id["data"], client.body("/api/manga/advanced-search?genres=action&page_size=2")["data"]);
    assert_eq!(client.body("/api/manga/advanced-search?genres=action,nothing")["data"], json!([]));

    // A description is looked into here, and only here.
    let in_description = client.body("/api/manga/advanced-search?q=deaf%20student");
    assert!(titles(&in_description["data"]).contains(&"A Sign of Affection"), "{in_description}");
    assert_eq!(client.body("/api/manga/search?q=deaf%20student")["total"], 0);

    // What readers think counts at once.
    let add = json!({"manga_id": "akira", "status": "reading"});
    client.send("POST", "/api/v1/users/library", &add).data(201);
    client.send("PUT", "/api/v1/users/progress/akira", &json!({"rating": 9})).data(200);
    assert_eq!(titles(&client.body("/api/manga/advanced-search?min_rating=8.5")["data"]), ["Akira"]);
    assert_eq!(client.body("/api/manga/advanced-search?min_rating=9.5")["data"], json!([]));
    let everything = client.body("/api/manga/?page_size=1")["total"].clone();
    assert_eq!(client.body("/api/manga/advanced-search?min_rating=0")["pagination"]["total"], everything);
    for sort in ["popularity", "rating"] {
        let page = client.body(&format!("/api/manga/advanced-search?sort_by={sort}&page_size=3"));
        assert_eq!((titles(&page["data"])[0], &page["data"][0]["average_rating"]), ("Akira", &json!(9.0)), "{sort}");
    }
    let rating = "invalid min_rating parameter, must be between 0 and 10";
    for (query, message) in [
        ("status=cancelled", "invalid status, must be one of: ongoing, completed, hiatus"),
        ("sort_by=best", "invalid sort_by, must be one of: popularity, rating, recent, title"),
        ("min_rating=11", rating),
        ("min_rating=-0.1", rating),
        ("min_rating=NaN", rating),
        ("min_rating=x", rating),
    ] {
        let reply = client.get(&format!("/api/manga/advanced-search?{query}"));
        assert_eq!(refused(&reply, 400), message, "{query}");
    }
}

/// One series is shown in full to whoever names its key, in its own family's shape, however often and in
/// whatever order the families ask; a new rating shows at once in both.
#[test]
fn one_series_is_shown() {
    let server = TestServer::start();
    let mut client = Client::new(&server, &server.register("alice"));
    let key = client.body("/api/v1/manga/akira")["data"]["manga"]["key"].as_i64().unwrap();
    let path = format!("/api/manga/{key}");
    for _ in 0..2 {
        let full = client.body(&path);
        assert_eq!((&full["id"], &full["slug"], &full["title"]), (&json!(key), &json!("akira"), &json!("Akira")));
        assert!(full["description"].is_string() && full["created_at"].is_string() && full["genres"].is_array());
        assert!(full.get("average_rating").is_none() && full.get("success").is_none(), "{full}");
        let v1 = client.body("/api/v1/manga/akira")["data"]["manga"].clone();
        assert_eq!((&v1["average_rating"], &v1["rating_count"], &v1["readers"]), (&json!(null), &json!(0), &json!(0)));
    }
    let add = json!({"manga_id": "akira", "status": "reading"});
    client.send("POST", "/api/v1/users/library", &add).data(201);
    assert_eq!(client.body("/api/v1/manga/akira")["data"]["manga"]["readers"], 1);
    client.send("PUT", "/api/v1/users/progress/akira", &json!({"rating": 7})).data(200);
    assert_eq!(client.body(&path)["average_rating"], 7.0);
    let v1 = client.body("/api/v1/manga/akira")["data"]["manga"].clone();
    assert_eq!((&v1["average_rating"], &v1["rating_count"], &v1["readers"]), (&json!(7.0), &json!(1), &json!(1)));
    client.delete("/api/v1/users/progress/akira").data(200);
    assert_eq!(client.body("/api/v1/manga/akira")["data"]["manga"]["readers"], 0);
    for bad in ["x", "akira", "1.5", "99999999999999999999", "%20"] {
        assert_eq!(refused(&client.get(&format!("/api/manga/{bad}")), 400), "invalid id", "{bad}");
    }
    for absent in ["0", "-1", "9223372036854775807"] {
        assert_eq!(refused(&client.get(&format!("/api/manga/{absent}")), 404), "manga not found", "{absent}");
    }
}

/// Genres are listed by name, and each leads to its series.
#[test]
fn genres_lead_to_series() {
    let server = TestServer::start();
    let boss = admin(&server);
    let mut client = Client::new(&server, &boss);
    let genres = client.body("/api/genres/");
    let names: Vec<&str> = genres.as_array().unwrap().iter().map(|genre| genre["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"action") && names.is_sorted(), "{names:?}");
    assert_eq!(client.body("/api/v1/genres")["data"]["items"], genres);
    let of = |genre: &Value| format!("/api/genres/{}/mangas", genre["id"]);
    let action = genres.as_array().unwrap().iter().find(|genre| genre["name"] == "action").unwrap();
    assert!(titles(&client.body(&of(action))).contains(&"Attack on Titan"));
    assert_eq!(client.body(&format!("{}?page_size=1", of(action))).as_array().unwrap().len(), 1);
    assert_eq!(refused(&client.get("/api/genres/action/mangas"), 400), "invalid genre id");
    assert_eq!(refused(&client.get("/api/genres/999999/mangas"), 404), "genre not found");

    let made = client.send("POST", "/api/genres/", &json!({"name": " Cooking Duel "}));
    assert_eq!((made.status, &made.json()["name"]), (201, &json!("cooking duel")));
    assert_eq!(client.body(&of(&made.json())), json!([]));
    refused(&client.send("POST", "/api/genres", &json!({"name": "COOKING duel"})), 409);
    let v1 = client.send("POST", "/api/v1/admin/genres", &json!({"name": "Chess"})).data(201);
    assert_eq!(v1["genre"]["name"], "chess");
}

// ---- administrators

/// A series that an administrator of the second family makes is there for everybody at once, in both
/// families; changed, every list and search knows; deleted, nobody finds it, and a second time is fine.
#[test]
fn the_second_family_changes_the_catalogue() {
    let server = TestServer::start();
    let mut boss = Client::new(&server, &admin(&server));
    let genres = boss.body("/api/genres/");
    let (one, two) = (&genres[0]["id"], &genres[1]["id"]);
    let made = boss.send(
        "POST",
        "/api/manga/",
        &json!({"title": "Zürich Café", "author": "Ō Sensei", "total_chapters": 7,
        "description": "Two\nlines", "cover_url": "https://x.example/c.png", "genre_ids": [one, two], "unknown": 1}),
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let (id, slug) = (made["id"].as_i64().unwrap(), made["slug"].as_str().unwrap().to_owned());
    let suffix = slug.strip_prefix("zurich-cafe-").unwrap();
    assert!(suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()), "{slug}");
    assert_eq!((&made["status"], &made["total_chapters"]), (&json!("ongoing"), &json!(7)));
    assert_eq!(made["genres"], json!([genres[0]["name"], genres[1]["name"]]));
    let path = format!("/api/manga/{id}");
    assert_eq!(boss.body(&path), made);
    assert_eq!(boss.body("/api/manga/?page_size=1")["data"][0]["id"], id, "the newest is first");
    assert_eq!(boss.body("/api/manga/search?q=zurich%20sensei")["data"][0]["id"], id);
    boss.get(&format!("/api/v1/manga/{slug}")).data(200);

    let changed =
        boss.send("PUT", &path, &json!({"title": "Basel", "status": "completed", "genre_ids": [two], "author": null}));
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!((&changed.json()["title"], &changed.json()["genres"]), (&json!("Basel"), &json!([genres[1]["name"]])));
    assert!(changed.json().get("author").is_none() && changed.json()["description"] == "Two\nlines");
    assert_eq!(boss.body(&path), changed.json(), "the answer kept from before is forgotten");
    assert_eq!(boss.body("/api/manga/search?q=zurich")["data"][0]["title"], "Basel", "by its slug");
    assert_eq!(boss.body("/api/v1/manga?title=zurich")["data"]["items"], json!([]));

    let reader = server.register("alice");
    let mut alice = Client::new(&server, &reader);
    alice.send("POST", "/api/v1/users/library", &json!({"manga_id": slug, "status": "reading"})).data(201);
    for _ in 0..2 {
        let gone = boss.delete(&path);
        assert_eq!((gone.status, gone.body.len()), (204, 0));
    }
    assert_eq!(boss.delete("/api/manga/424242").status, 204);
    assert_eq!(refused(&boss.get(&path), 404), "manga not found");
    assert_eq!(refused(&boss.send("PUT", &path, &json!({"title": "x"})), 404), "manga not found");
    assert_eq!(boss.body("/api/manga/search?q=basel")["total"], 0);
    alice.get(&format!("/api/v1/manga/{slug}")).refused(404, "NOT_FOUND");
    alice.get(&format!("/api/v1/manga/~{id}")).refused(404, "NOT_FOUND");
    assert_eq!(alice.get("/api/v1/users/library").data(200)["items"], json!([]));
    let history = alice.get("/api/v1/users/history").data(200)["items"].clone();
    assert_eq!((history.as_array().unwrap().len(), &history[0]["manga_key"]), (1, &json!(id)), "histories stay");
    alice.send("PUT", "/api/v1/users/progress/basel", &json!({"current_chapter": 1})).refused(404, "NOT_FOUND");
    let again = boss.send("POST", "/api/manga/", &json!({"title": "Basel", "slug": slug}));
    assert_eq!((again.status, &again.json()["slug"]), (201, &json!(slug)), "the slug is free");
    refused(&boss.send("POST", "/api/manga/", &json!({"title": "Basel", "slug": slug})), 409);
    assert!(
        refused(&boss.send("POST", "/api/manga/", &json!({"title": "x", "genre_ids": [one, 999_999]})), 400)
            .contains("999999")
    );
}

/// The first family's administrators set every fact there is, in part with PUT as with PATCH.
#[test]
fn the_first_family_changes_the_catalogue() {
    let server = TestServer::start();
    let mut boss = Client::new(&server, &admin(&server));
    let all = json!({"slug": "mine", "title": "Mine", "title_english": "E", "title_romanised": "R", "title_native": "原",
        "alternative_titles": ["A", "B"], "author": "Au", "artist": "Ar", "genres": ["Drama", "new genre"],
        "demographic": "seinen", "status": "completed", "year": 1999, "chapters_total": 10.5, "volumes_total": 2,
        "latest_chapter": 10.5, "description": "D", "cover_image_url": "https://x.example/c.png"});
    let made = boss.send("POST", "/api/v1/admin/manga", &all).data(201)["manga"].clone();
    for (name, value) in
        all.as_object().unwrap().iter().filter(|(name, _)| !["slug", "genres"].contains(&name.as_str()))
    {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(
        (&made["id"], &made["genres"], &made["total_chapters"]),
        (&json!("mine"), &json!(["drama", "new genre"]), &json!(10))
    );
    boss.send("POST", "/api/v1/admin/manga", &all).refused(409, "CONFLICT");
    let patched = boss.send("PATCH", "/api/v1/admin/manga/mine", &json!({"slug": "yours", "year": null}));
    assert_eq!(patched.data(200)["manga"]["year"], json!(null));
    boss.get("/api/v1/manga/mine").refused(404, "NOT_FOUND");
    let put = boss.send("PUT", "/api/v1/admin/manga/yours", &json!({"status": "ongoing", "chapters_total": null}));
    let manga = put.data(200)["manga"].clone();
    assert_eq!(
        (&manga["title"], &manga["chapters_total"], &manga["year"]),
        (&json!("Mine"), &json!(null), &json!(null))
    );
    assert_eq!(boss.get("/api/v1/manga/yours").data(200)["manga"], manga);
    boss.send("PUT", "/api/v1/admin/manga/yours", &json!({"slug": "akira"})).refused(409, "CONFLICT");
    boss.send("PUT", "/api/v1/admin/manga/nobody", &json!({"title": "x"})).refused(404, "NOT_FOUND");
    for _ in 0..2 {
        boss.delete("/api/v1/admin/manga/yours").data(200);
    }
    boss.get("/api/v1/manga/yours").refused(404, "NOT_FOUND");
}

/// What an administrator did to a series of the shipped catalogue is still done after a restart, which
/// loads that catalogue again; the search is there too.
#[test]
fn a_restart_takes_nothing_back() {
    let mut server = TestServer::start();
    let account = admin(&server);
    let mut boss = Client::new(&server, &account);
    boss.send("PATCH", "/api/v1/admin/manga/akira", &json!({"title": "Changed by hand"})).data(200);
    boss.send("PATCH", "/api/v1/admin/manga/berserk", &json!({"slug": "renamed"})).data(200);
    boss.delete("/api/v1/admin/manga/one-piece").data(200);
    let before = boss.body("/api/v1/manga?limit=1")["meta"]["total"].clone();
    server.restart_with(|_| {});
    let mut boss = Client::new(&server, &account);
    assert_eq!(boss.body("/api/v1/manga?limit=1")["meta"]["total"], before);
    assert_eq!(boss.body("/api/v1/manga/akira")["data"]["manga"]["title"], "Changed by hand");
    assert_eq!(boss.body("/api/manga/search?q=by%20hand")["data"][0]["title"], "Changed by hand");
    boss.get("/api/v1/manga/renamed").data(200);
    boss.get("/api/v1/manga/berserk").refused(404, "NOT_FOUND");
    boss.get("/api/v1/manga/one-piece").refused(404, "NOT_FOUND");
}

// ---- strangers and nonsense

/// What every route of the catalogue demands: a token, and for changes an administrator's.
#[test]
fn routes_demand_their_scope() {
    let server = TestServer::start();
    let mut alice = Client::new(&server, &server.register("alice"));
    let read = [
        "/api/manga/",
        "/api/manga/search?q=x",
        "/api/manga/advanced-search",
        "/api/manga/1",
        "/api/genres/",
        "/api/genres/1/mangas",
    ];
    for path in read {
        refused(&server.http().get(path, None), 401);
        assert_eq!(alice.get(path).status, 200, "{path}");
    }
    for (method, path) in [
        ("POST", "/api/manga/"),
        ("PUT", "/api/manga/1"),
        ("DELETE", "/api/manga/1"),
        ("POST", "/api/genres/"),
        ("POST", "/api/v1/admin/manga"),
        ("PUT", "/api/v1/admin/manga/akira"),
        ("PATCH", "/api/v1/admin/manga/akira"),
        ("DELETE", "/api/v1/admin/manga/akira"),
        ("POST", "/api/v1/admin/genres"),
    ] {
        assert_eq!(server.http().json(method, path, None, Some(&json!({}))).status, 401, "{method} {path}");
        assert_eq!(alice.send(method, path, &json!({"title": "x", "name": "x"})).status, 403, "{method} {path}");
    }
    let made = server.http().post("/api/v1/auth/login", None, &json!({"username": "alice", "password": PASSWORD}));
    assert_eq!(made.status, 200, "and nothing is broken");
}

/// Whatever text is searched for, the answer is a list or a refusal, never a fault.
#[test]
fn hostile_searches_are_answered() {
    let server = TestServer::start();
    let mut client = Client::new(&server, &server.register("alice"));
    let long = "x".repeat(301);
    let words = (0..70).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
    let texts = [
        "\"",
        "\"\"",
        "*",
        "a*",
        "^a",
        "NEAR(a b)",
        "a NEAR b",
        "titles:a",
        "{titles}:a",
        "-a",
        "(",
        "a AND",
        "NOT",
        "%",
        "_",
        "'",
        "\\",
        "\0",
        "a\0b",
        "\u{202e}abc",
        "🏴‍☠️",
        "か",
        "ﷺ",
        "\u{301}",
        "e\u{301}",
        "\r\n",
        &words,
    ];
    for text in texts {
        let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [
            "/api/manga/search?q=",
            "/api/manga/advanced-search?q=",
            "/api/manga/advanced-search?genres=",
            "/api/v1/manga?limit=5&title=",
            "/api/v1/manga?limit=5&author=",
            "/api/v1/manga?limit=5&genre=",
        ] {
            let reply = client.get(&format!("{path}{text}"));
            let blank = reply.status == 400 && path.ends_with("search?q=") && refused(&reply, 400).contains("required");
            assert!(reply.status == 200 || blank, "{path}{text}: {} {}", reply.status, reply.text());
        }
    }
    for path in ["/api/manga/search?q=", "/api/manga/advanced-search?q=", "/api/manga/advanced-search?genres="] {
        assert!(refused(&client.get(&format!("{path}{long}")), 400).contains("at most 300"), "{path}");
    }
    let many = vec!["a"; 21].join(",");
    assert!(refused(&client.get(&format!("/api/manga/advanced-search?genres={many}")), 400).contains("at most 20"));
    for name in ["title", "author", "genre"] {
        let message = client.get(&format!("/api/v1/manga?{name}={long}")).refused(400, "BAD_REQUEST");
        assert!(message.starts_with(name), "{message}");
    }
}

/// A body that makes no sense is refused, the member named, and nothing is changed.
#[test]
fn bodies_that_make_no_sense_are_refused() {
    let server = TestServer::unmetered();
    let mut boss = Client::new(&server, &admin(&server));
    let before = boss.body("/api/v1/manga");
    let cases = [
        (json!({}), "title"),
        (json!({"title": ""}), "title"),
        (json!({"title": "  "}), "title"),
        (json!({"title": 5}), "title"),
        (json!({"title": ["x"]}), "title"),
        (json!({"title": "x".repeat(301)}), "title"),
        (json!({"title": "a\u{0}b"}), "title"),
        (json!({"title": "x", "slug": "Not A Slug"}), "slug"),
        (json!({"title": "x", "slug": "~1"}), "slug"),
        (json!({"title": "x", "slug": "x".repeat(201)}), "slug"),
        (json!({"title": "x", "status": "reading"}), "status"),
        (json!({"title": "x", "status": 1}), "status"),
        (json!({"title": "x", "total_chapters": -1}), "total_chapters"),
        (json!({"title": "x", "total_chapters": 1e300}), "total_chapters"),
        (json!({"title": "x", "total_chapters": "7"}), "total_chapters"),
        (json!({"title": "x", "genre_ids": 5}), "genre_ids"),
        (json!({"title": "x", "genre_ids": ["drama"]}), "genre_ids"),
        (json!({"title": "x", "genre_ids": [-1]}), "genre_ids"),
        (json!({"title": "x", "genre_ids": vec![1; 31]}), "genre_ids"),
        (json!({"title": "x", "description": "x".repeat(10_001)}), "description"),
        (json!({"title": "x", "cover_url": "javascript:alert(1)"}), "cover_url"),
        (json!({"title": "x", "year": 20_000}), "year"),
        (json!({"title": "x", "volumes_total": 1.5}), "volumes_total"),
        (json!({"title": "x", "demographic": "everyone"}), "demographic"),
        (json!({"title": "x", "alternative_titles": "y"}), "alternative_titles"),
        (json!({"title": "x", "genres": vec!["g"; 31]}), "genres"),
    ];
    for (body, member) in &cases {
        let message = refused(&boss.send("POST", "/api/manga/", body), 400);
        assert!(message.starts_with(member), "{member}: {message}");
        let message = boss.send("POST", "/api/v1/admin/manga", body).refused(400, "BAD_REQUEST");
        assert!(message.starts_with(member), "{member}: {message}");
        if *body != json!({}) {
            let message = boss.send("PATCH", "/api/v1/admin/manga/akira", body).refused(400, "BAD_REQUEST");
            assert!(message.starts_with(member), "{member}: {message}");
            assert!(refused(&boss.send("PUT", "/api/manga/1", body), 400).starts_with(member));
        }
    }
    for name in
        [json!({}), json!({"name": ""}), json!({"name": 5}), json!({"name": "x".repeat(51)}), json!({"name": "a\nb"})]
    {
        assert!(refused(&boss.send("POST", "/api/genres/", &name), 400).starts_with("name"), "{name}");
    }
    for body in [&b"{"[..], b"[]", b"\"x\"", b"{\"title\":\"a\",\"title\":\"b\"}", b"\xff"] {
        for (method, path) in [("POST", "/api/manga/"), ("PUT", "/api/manga/1"), ("POST", "/api/genres/")] {
            let token = format!("Authorization: Bearer {}", boss.token);
            let reply = boss.http.request(method, path, &[&token], body);
            refused(&reply, 400);
        }
    }
    for method in ["PUT", "DELETE"] {
        assert_eq!(refused(&boss.send(method, "/api/manga/akira", &json!({})), 400), "invalid id");
    }
    let unchanged = boss.send("PUT", "/api/manga/1", &json!({}));
    assert_eq!(unchanged.status, 200, "no facts are no change");
    assert_eq!(boss.body("/api/v1/manga"), before);
}
