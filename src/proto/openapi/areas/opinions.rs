//! What readers think: ratings, comments and reviews.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, message, named, number, object, one_of, or_null, page_of, text, time, truth,
    whole, with,
};
use crate::store::model::ReviewOrder;

/// The area.
pub fn area() -> Area {
    Area {
        name: "Opinions",
        about: "What readers think: ratings, reviews (first family) and comments (second family).",
        routes: [first_family(), second_family()].into_iter().flatten().collect(),
        shapes: vec![
            ("Standing".into(), standing()),
            ("Review".into(), review()),
            ("Rating".into(), rating(true)),
            ("Comment".into(), comment()),
        ],
    }
}

fn first_family() -> Vec<Description> {
    let (rating, mine) = ("/api/v1/manga/akira/rating", "/api/v1/manga/akira/reviews/mine");
    let review = || data(object([("review", named("Review"))], []));
    let standing = || data(object([("rating", named("Standing"))], []));
    let votes = || data(object([("helpful", from(0)), ("voted", truth())], []));
    vec![
        describe("GET /api/v1/manga/{manga}/rating", "One's own rating, and everybody's average")
            .gives(200, "The rating", standing())
            .refuses([404])
            .example(example("A rating", rating).after("PUT", rating, json!({"rating": 9})))
            .example(example("None yet", rating)),
        describe("PUT /api/v1/manga/{manga}/rating", "Rate")
            .takes(object([("rating", between(1, 10))], []))
            .gives(200, "The rating as it now is", standing())
            .refuses([404])
            .example(example("Nine of ten", rating).sends(json!({"rating": 9})))
            .example(example("Eleven of ten", rating).sends(json!({"rating": 11})).gives(400)),
        describe("DELETE /api/v1/manga/{manga}/rating", "Take the rating back")
            .gives(200, "Done", message())
            .refuses([404])
            .example(example("A rating", rating).after("PUT", rating, json!({"rating": 9})))
            .example(example("None yet", rating).gives(404)),
        describe("GET /api/v1/manga/{manga}/reviews", "Reviews of a series")
            .says("With a token each shows whether its user found it helpful.")
            .query("sort", one_of(ReviewOrder::WORDS), "What comes first; `helpful` unless said")
            .query("limit", between(1, 100), "At most so many; 20 unless said")
            .query("offset", from(0), "Skip so many")
            .gives(200, "Reviews", items(named("Review")))
            .refuses([404])
            .example(after_review(example("The latest", "/api/v1/manga/akira/reviews?sort=date&limit=5"))),
        describe("GET /api/v1/manga/{manga}/reviews/mine", "One's own review")
            .gives(200, "The review", review())
            .refuses([404])
            .example(after_own_review(example("A review", mine)))
            .example(example("None yet", mine).gives(404)),
        describe("PUT /api/v1/manga/{manga}/reviews/mine", "Write a review, or replace it")
            .says("It keeps its id and votes. A rating of 0 is none. The text is shown exactly as it was sent: escape it.")
            .takes(object(
                [("text", chars(1, 10_000))],
                [("rating", or_null(between(0, 10))), ("spoiler", or_null(truth()))],
            ))
            .gives(200, "The review", review())
            .refuses([404])
            .example(example("A review", mine).sends(json!({"text": "Worth every chapter.", "rating": 10}))),
        describe("DELETE /api/v1/manga/{manga}/reviews/mine", "Delete one's own review")
            .says("With its votes; the rating stays.")
            .gives(200, "Done", message())
            .refuses([404])
            .example(after_own_review(example("A review", mine))),
        describe("PUT /api/v1/reviews/{id}/helpful", "Find a review helpful")
            .path("id", whole(), "A review")
            .says("Counts once.")
            .gives(200, "How many find it helpful", votes())
            .refuses([403, 404])
            .example(after_review(example("A review", "/api/v1/reviews/$1.data.review.id/helpful")))
            .example(after_own_review(example("One's own", "/api/v1/reviews/$1.data.review.id/helpful")).gives(403)),
        describe("DELETE /api/v1/reviews/{id}/helpful", "Take that back")
            .path("id", whole(), "A review")
            .gives(200, "How many find it helpful", votes())
            .refuses([403, 404])
            .example(after_review(example("A review", "/api/v1/reviews/$1.data.review.id/helpful"))),
        describe("DELETE /api/v1/reviews/{id}", "Delete anybody's review")
            .path("id", whole(), "A review")
            .gives(200, "Done", message())
            .refuses([404])
            .example(after_review(example("A review", "/api/v1/reviews/$1.data.review.id"))),
    ]
}

fn second_family() -> Vec<Description> {
    let (rated, commented) = ("/api/manga/1/ratings", "/api/manga/1/comments");
    let done = || object([("message", text())], []);
    let content = || object([("content", chars(1, 5000))], []);
    let rate = |example: Example| example.after("POST", "/api/manga/1/ratings", json!({"rating": 9}));
    let comment = |example: Example| example.after("POST", "/api/manga/1/comments", json!({"content": "First!"}));
    vec![
        describe("GET /api/manga/{id}/ratings", "Ratings of a series")
            .pages()
            .gives(200, "Ratings, by when each reader first rated", page_of(named("Rating")))
            .refuses([404])
            .example(rate(example("A rating", rated))),
        describe("POST /api/manga/{id}/ratings", "Rate")
            .takes(object([("rating", between(1, 10))], []))
            .gives(200, "The rating", named("Rating"))
            .refuses([404])
            .example(example("Nine of ten", rated).sends(json!({"rating": 9}))),
        describe("DELETE /api/manga/{id}/ratings", "Take the rating back")
            .gives(200, "Done", done())
            .refuses([404])
            .example(rate(example("A rating", rated))),
        describe("GET /api/manga/{id}/ratings/average", "Everybody's average")
            .gives(
                200,
                "The average; 0 of nobody",
                object([("average_rating", number()), ("total_ratings", from(0))], []),
            )
            .refuses([404])
            .example(rate(example("Of one reader", "/api/manga/1/ratings/average"))),
        describe("GET /api/manga/{id}/ratings/me", "One's own rating")
            .gives(200, "The rating", rating(false))
            .refuses([404])
            .example(rate(example("A rating", "/api/manga/1/ratings/me"))),
        describe("GET /api/manga/{id}/comments", "Comments on a series")
            .pages()
            .gives(200, "Comments, the latest first", page_of(named("Comment")))
            .refuses([404])
            .example(comment(example("A comment", commented))),
        describe("POST /api/manga/{id}/comments", "Comment")
            .says("The text is shown exactly as it was sent: escape it.")
            .takes(content())
            .gives(201, "The comment", named("Comment"))
            .refuses([404])
            .example(example("A comment", commented).sends(json!({"content": "What a chapter!"})).gives(201)),
        describe("GET /api/manga/comments/me", "One's own comments")
            .pages()
            .gives(200, "Comments, the latest first", page_of(named("Comment")))
            .example(comment(example("A comment", "/api/manga/comments/me?page=1&page_size=5"))),
        one_comment("GET /api/manga/comments/{id}", "One comment")
            .gives(200, "The comment", named("Comment"))
            .example(comment(example("A comment", "/api/manga/comments/$1.id"))),
        one_comment("PUT /api/manga/comments/{id}", "Change one's own comment")
            .takes(content())
            .gives(200, "The comment", named("Comment"))
            .example(comment(example("Other words", "/api/manga/comments/$1.id").sends(json!({"content": "Second!"})))),
        one_comment("DELETE /api/manga/comments/{id}", "Delete a comment")
            .says("One's own, or anybody's for an administrator.")
            .gives(200, "Done", done())
            .example(comment(example("A comment", "/api/manga/comments/$1.id"))),
    ]
}

fn one_comment(place: &'static str, summary: &'static str) -> Description {
    describe(place, summary).path("id", whole(), "A comment").refuses([403, 404])
}

fn after_review(example: Example) -> Example {
    let review = json!({"text": "Worth every chapter.", "rating": 10});
    example.after_by("friend", "PUT", "/api/v1/manga/akira/reviews/mine", review)
}

fn after_own_review(example: Example) -> Example {
    example.after("PUT", "/api/v1/manga/akira/reviews/mine", json!({"text": "Worth every chapter."}))
}

fn standing() -> Value {
    object(
        [
            ("manga_id", text()),
            ("manga_key", whole()),
            ("rating", or_null(between(1, 10))),
            ("created_at", or_null(time())),
            ("updated_at", or_null(time())),
            ("average_rating", or_null(number())),
            ("total_ratings", from(0)),
        ],
        [],
    )
}

fn review() -> Value {
    object(
        [
            ("id", whole()),
            ("manga_id", text()),
            ("manga_key", whole()),
            ("user", object([("id", text()), ("username", text())], [])),
            ("rating", or_null(between(1, 10))),
            ("text", text()),
            ("spoiler", truth()),
            ("helpful", from(0)),
            ("voted", or_null(truth())),
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}

/// A rating of the second family; one's own comes without a name.
fn rating(named: bool) -> Value {
    let mut rating = object([("rating", between(1, 10)), ("created_at", time()), ("updated_at", time())], []);
    if named {
        rating = with(rating, [("username", text())]);
    }
    rating
}

fn comment() -> Value {
    object(
        [
            ("id", whole()),
            ("user_id", text()),
            ("manga_id", whole()),
            ("username", text()),
            ("content", text()),
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}
