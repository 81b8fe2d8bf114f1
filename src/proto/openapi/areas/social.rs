//! Friends, and lists that people put together.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, list, message, named, number, object, one_of, or_null, text, time, truth, whole,
    with,
};
use crate::store::ITEMS_MAX;
use crate::store::model::{ReadingStatus, Visibility};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Friends and lists",
        about: "Friends and what they read, and lists of series for oneself, for friends or for everyone.",
        routes: [friends(), lists(), list_items()].into_iter().flatten().collect(),
        shapes: vec![
            ("Friend".into(), object([("id", text()), ("username", text()), ("since", time())], [])),
            ("Asked".into(), asked()),
            ("Activity".into(), activity()),
            ("List".into(), list_head()),
            ("ListItem".into(), list_item()),
        ],
    }
}

// ---- friends

fn friends() -> Vec<Description> {
    let everybody = "/api/v1/friends";
    let requests = object([("incoming", list(named("Friend"))), ("outgoing", list(named("Friend")))], []);
    let feed = object([("count", from(0)), ("complete", truth())], []);
    vec![
        part(describe("GET /api/v1/friends", "Friends"))
            .gives(200, "Friends, by name", items(named("Friend")))
            .example(befriended(example("A friend", everybody)))
            .example(example("Nobody yet", "/api/v1/friends?limit=10")),
        describe("POST /api/v1/friends", "Ask somebody")
            .says("By name. Whoever asks somebody who asked before accepts.")
            .takes(object([("username", chars(1, 64))], []))
            .gives(201, "Asked", data(named("Asked")))
            .gives(200, "Friends now", data(named("Asked")))
            .refuses([404, 409])
            .example(example("Ask", everybody).sends(json!({"username": "friend"})).gives(201))
            .example(friend_asked(example("Who asked before", everybody).sends(json!({"username": "friend"}))))
            .example(example("Nobody", everybody).sends(json!({"username": "nobody"})).gives(404))
            .example(befriended(example("A friend", everybody).sends(json!({"username": "friend"}))).gives(409)),
        part(describe("GET /api/v1/friends/requests", "Requests that are open"))
            .says("`limit` and `offset` are about those to the reader.")
            .gives(200, "Requests, the latest first", with(data(requests), [("meta", named("Meta"))]))
            .example(friend_asked(example("One to the reader", "/api/v1/friends/requests"))),
        describe("GET /api/v1/friends/activity", "What friends read")
            .says("Without what they keep private. It is not complete where friends read more than one look may read.")
            .query("before", from(1), "Entries before the one of this id")
            .query("limit", between(1, 100), "At most so many; 20 unless said")
            .gives(200, "Entries, the latest first", with(items(named("Activity")), [("meta", feed)]))
            .example(befriended(example("A chapter", "/api/v1/friends/activity?limit=5")).after_by(
                "friend",
                "POST",
                "/api/v1/users/library",
                json!({"manga_id": "akira", "status": "reading", "current_chapter": 5}),
            )),
        one_friend("POST /api/v1/friends/{user}/accept", "Accept a request")
            .gives(200, "Friends now", data(named("Asked")))
            .refuses([409])
            .example(friend_asked(example("A request", "/api/v1/friends/$friend/accept")))
            .example(example("Who has not asked", "/api/v1/friends/$friend/accept").gives(404)),
        one_friend("DELETE /api/v1/friends/{user}", "End a friendship, decline a request or take one back")
            .gives(200, "Done", message())
            .example(befriended(example("A friend", "/api/v1/friends/$friend")))
            .example(friend_asked(example("A request", "/api/v1/friends/$friend"))),
    ]
}

fn one_friend(place: &'static str, summary: &'static str) -> Description {
    describe(place, summary).path("user", text(), "Somebody: their id or their name").refuses([404])
}

fn friend_asked(example: Example) -> Example {
    example.after_by("friend", "POST", "/api/v1/friends", json!({"username": "reader"}))
}

fn befriended(example: Example) -> Example {
    friend_asked(example).after("POST", "/api/v1/friends", json!({"username": "friend"}))
}

fn asked() -> Value {
    object([("status", one_of(&["requested", "accepted"])), ("friend", named("Friend"))], [])
}

fn activity() -> Value {
    object(
        [
            ("id", whole()),
            ("user_id", text()),
            ("username", text()),
            ("manga_id", or_null(text())),
            ("manga_key", whole()),
            ("manga_title", or_null(text())),
            ("chapter", from(0)),
            ("chapter_exact", number()),
            ("status", one_of(ReadingStatus::WORDS)),
            ("recorded_at", time()),
        ],
        [],
    )
}

// ---- lists

fn lists() -> Vec<Description> {
    let (all, first) = ("/api/v1/lists", "/api/v1/lists/$1.data.list.id");
    let shown = || data(object([("list", named("List"))], []));
    let with_items = data(object([("list", named("List")), ("items", list(named("ListItem")))], []));
    vec![
        part(describe("GET /api/v1/lists", "One's own lists"))
            .gives(200, "Lists, the last changed first", items(named("List")))
            .example(after_list(example("A list", all)))
            .example(example("None yet", "/api/v1/lists?limit=10")),
        describe("POST /api/v1/lists", "Make a list")
            .says("Only its owner sees it unless `visibility` says otherwise.")
            .takes(object([("name", chars(1, 100))], about_list()))
            .gives(201, "The list", shown())
            .refuses([409])
            .example(
                example("A list for friends", all)
                    .sends(json!({"name": "To lend", "description": "Ask me.", "visibility": "friends"}))
                    .gives(201),
            )
            .example(example("No name", all).sends(json!({})).gives(400)),
        part(one_list("GET /api/v1/lists/{list}", "A list and what is on it"))
            .says("A list that one may not see is not there.")
            .gives(200, "The list and a part of it, in its order", with(with_items, [("meta", named("Meta"))]))
            .example(after_item(example("A series on it", first)))
            .example(
                example("Somebody else's", first)
                    .after_by("friend", "POST", "/api/v1/lists", json!({"name": "Mine alone"}))
                    .gives(404),
            ),
        one_list("PATCH /api/v1/lists/{list}", "Change a list")
            .takes(with_name(object([], about_list())))
            .gives(200, "The list", shown())
            .example(after_list(example("For everyone", first).sends(json!({"visibility": "public"})))),
        one_list("DELETE /api/v1/lists/{list}", "Delete a list")
            .gives(200, "Done", message())
            .example(after_item(example("A list", first))),
        part(describe("GET /api/v1/users/{user}/lists", "What one may see of somebody's lists"))
            .path("user", text(), "Somebody: their id or their name")
            .gives(200, "Lists, the last changed first", items(named("List")))
            .refuses([404])
            .example(example("A public one", "/api/v1/users/$friend/lists").after_by(
                "friend",
                "POST",
                "/api/v1/lists",
                json!({"name": "For all", "visibility": "public"}),
            )),
    ]
}

fn list_items() -> Vec<Description> {
    let (items, first) = ("/api/v1/lists/$1.data.list.id/items", "/api/v1/lists/$1.data.list.id/items/akira");
    let shown = || data(object([("item", named("ListItem"))], []));
    let manga = json!({"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]});
    vec![
        one_list("POST /api/v1/lists/{list}/items", "Put a series on a list")
            .says("At the end unless `position` says otherwise.")
            .takes(object([("manga_id", manga)], about_item()))
            .gives(201, "The item", shown())
            .refuses([409])
            .example(after_list(
                example("A series", items).sends(json!({"manga_id": "akira", "note": "Big."})).gives(201),
            ))
            .example(after_item(example("One that is there", items).sends(json!({"manga_id": "akira"})).gives(409))),
        one_list("PATCH /api/v1/lists/{list}/items/{manga}", "Change an item, or move it")
            .says("An empty note is none.")
            .takes(object([], about_item()))
            .gives(200, "The item", shown())
            .example(after_item(example("To the top", first).sends(json!({"position": 1, "note": ""})))),
        one_list("DELETE /api/v1/lists/{list}/items/{manga}", "Take a series off a list")
            .gives(200, "Done", message())
            .example(after_item(example("A series", first)))
            .example(after_list(example("One that is not there", first).gives(404))),
    ]
}

fn one_list(place: &'static str, summary: &'static str) -> Description {
    describe(place, summary).path("list", whole(), "A list: its number").refuses([404])
}

fn after_list(example: Example) -> Example {
    example.after("POST", "/api/v1/lists", json!({"name": "Favourites"}))
}

fn after_item(example: Example) -> Example {
    after_list(example).after("POST", "/api/v1/lists/$1.data.list.id/items", json!({"manga_id": "akira"}))
}

/// What a list can be given beside its name.
fn about_list() -> [(&'static str, Value); 2] {
    [("description", or_null(chars(0, 1000))), ("visibility", or_null(one_of(Visibility::WORDS)))]
}

/// The same for a list that has a name.
fn with_name(mut change: Value) -> Value {
    change["properties"]["name"] = or_null(chars(1, 100));
    change
}

fn about_item() -> [(&'static str, Value); 2] {
    [("position", or_null(between(1, ITEMS_MAX as i64))), ("note", or_null(chars(0, 500)))]
}

fn list_head() -> Value {
    object(
        [
            ("id", whole()),
            ("name", text()),
            ("description", text()),
            ("visibility", one_of(Visibility::WORDS)),
            ("items_count", from(0)),
            ("user_id", text()),
            ("username", text()),
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}

fn list_item() -> Value {
    object(
        [
            ("manga_id", or_null(text())),
            ("manga_key", whole()),
            ("manga_title", or_null(text())),
            ("position", from(1)),
            ("note", or_null(text())),
            ("added_at", time()),
        ],
        [],
    )
}

/// `limit` and `offset` of a list that is never shown whole.
fn part(description: Description) -> Description {
    description.query("limit", between(1, 100), "At most so many; 50 unless said").query(
        "offset",
        from(0),
        "Skip so many",
    )
}
