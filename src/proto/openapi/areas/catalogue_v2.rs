//! The second family's catalogue: its lists, one series, genres, and what administrators do.

use serde_json::{Value, json};

use super::catalogue::{after_new_series, new_genre, new_series};
use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{
    between, chars, from, list, named, number, object, one_of, text, time, truth, whole, with,
};
use crate::store::model::{MangaSort, Publication};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Catalogue, second family",
        about: "The same series and genres, for tokens with the scopes that each route names.",
        routes: vec![
            all(),
            search(),
            advanced_search(),
            detail(),
            create(),
            change(),
            delete(),
            genres(),
            create_genre(),
            of_genre(),
        ],
        shapes: vec![
            ("MangaBrief".into(), brief()),
            ("MangaFull".into(), full()),
            ("Pagination".into(), object(counts(), [])),
        ],
    }
}

fn all() -> Description {
    let list = object([("data", list(named("MangaBrief"))), ("pagination", named("Pagination"))], []);
    describe("GET /api/manga", "All series")
        .pages()
        .gives(200, "Series, the newest first; the counts stand in `pagination` and beside it", with(list, counts()))
        .example(example("The first two", "/api/manga?page=1&page_size=2"))
        .example(example("A page", "/api/manga"))
}

fn search() -> Description {
    describe("GET /api/manga/search", "Find series by words")
        .says("There are no pages. More than 32 different words find nothing.")
        .query("q", chars(1, 300), "Words, each of them part of a title, a name or the slug")
        .query("title", chars(1, 300), "The same, where there is no `q`")
        .gives(
            200,
            "At most 100 series by title; `total` is how many there are",
            object([("data", list(named("MangaBrief"))), ("total", from(0))], []),
        )
        .example(example("Two words", "/api/manga/search?q=piece+oda"))
        .example(example("By title", "/api/manga/search?title=frieren"))
        .example(example("No words", "/api/manga/search").gives(400))
}

fn advanced_search() -> Description {
    let min_rating = json!({"type": "number", "minimum": 0, "maximum": 10});
    describe("GET /api/manga/advanced-search", "Find series by words and filters")
        .says("Every part of the query that is given must match.")
        .query("q", chars(0, 300), "Words, as in a search; they may also stand in the description")
        .query("genres", chars(0, 300), "Names or keys with commas between them, at most 20; a series must have all")
        .query("status", one_of(&STATUSES), "Where it stands with its publisher")
        .query("min_rating", min_rating, "The least average rating; 0 demands nothing")
        .query("sort_by", one_of(MangaSort::WORDS), "What comes first; `popularity` unless said")
        .pages()
        .gives(200, "Series, and the filters as they were understood", filtered())
        .example(example("Of two genres", "/api/manga/advanced-search?genres=drama,mystery&sort_by=title&page_size=2"))
        .example(example("Everything", "/api/manga/advanced-search?q=world&status=completed&min_rating=0"))
        .example(example("A status that there isn't", "/api/manga/advanced-search?status=asleep").gives(400))
}

fn detail() -> Description {
    describe("GET /api/manga/{id}", "One series")
        .gives(200, "The series", named("MangaFull"))
        .refuses([404])
        .example(example("A series", "/api/manga/1"))
        .example(example("One that there isn't", "/api/manga/987654").gives(404))
}

fn create() -> Description {
    describe("POST /api/manga", "Add a series")
        .says("Without a slug it gets one made of its title and eight random digits.")
        .takes(new_series())
        .gives(201, "The series", named("MangaFull"))
        .refuses([409])
        .example(
            example("A new series", "/api/manga")
                .sends(json!({
                    "title": "A Quiet Harbour", "author": "Somebody", "status": "ongoing", "total_chapters": 3,
                    "description": "A keeper of a lighthouse reads.", "genre_ids": [1, 2],
                    "cover_url": "https://covers.example.org/harbour.png",
                }))
                .gives(201),
        )
        .example(
            example("A slug that is taken", "/api/manga").sends(json!({"title": "Akira", "slug": "akira"})).gives(409),
        )
        .example(example("No title", "/api/manga").sends(json!({"author": "Somebody"})).gives(400))
}

fn change() -> Description {
    describe("PUT /api/manga/{id}", "Change facts of a series")
        .says("What is not sent stays; here `null` clears. Lists are replaced.")
        .takes(named("MangaFacts"))
        .gives(200, "The series as it now is", named("MangaFull"))
        .refuses([404, 409])
        .example(example("A hiatus", "/api/manga/1").sends(json!({"status": "hiatus", "cover_url": null})))
        .example(example("One that there isn't", "/api/manga/987654").sends(json!({"year": 1982})).gives(404))
}

fn delete() -> Description {
    describe("DELETE /api/manga/{id}", "Take a series out of the catalogue")
        .says("What isn't there is answered alike. Histories keep their rows, without its name.")
        .gives_nothing(204, "It is not in the catalogue any more")
        .example(after_new_series(example("A series", "/api/manga/$1.data.manga.key").gives(204)))
        .example(example("One that there isn't", "/api/manga/987654").gives(204))
}

fn genres() -> Description {
    describe("GET /api/genres", "All genres")
        .gives(200, "Genres by name", list(named("Genre")))
        .example(example("All", "/api/genres"))
}

fn create_genre() -> Description {
    describe("POST /api/genres", "Add a genre")
        .takes(new_genre())
        .gives(201, "The genre", named("Genre"))
        .refuses([409])
        .example(example("A new one", "/api/genres").sends(json!({"name": "gardening"})).gives(201))
        .example(example("One that is there", "/api/genres").sends(json!({"name": "drama"})).gives(409))
}

fn of_genre() -> Description {
    describe("GET /api/genres/{id}/mangas", "Series of a genre")
        .path("id", from(1), "A genre: its key")
        .query("page", from(1), "Which page; what can't be read is the first")
        .query("page_size", between(1, 100), "Rows of a page; what can't be read is 100")
        .gives(200, "Series by title", list(named("MangaBrief")))
        .refuses([404])
        .example(example("The first five", "/api/genres/1/mangas?page=1&page_size=5"))
        .example(example("A genre that there isn't", "/api/genres/987654/mangas").gives(404))
}

/// What a page says of the whole list.
fn counts() -> [(&'static str, Value); 4] {
    [("page", from(1)), ("page_size", from(1)), ("total", from(0)), ("total_pages", from(0))]
}

fn filtered() -> Value {
    let pages = with(object(counts(), []), [("has_next", truth()), ("has_previous", truth())]);
    let filters = object(
        [
            ("query", text()),
            ("genres", list(text())),
            ("status", one_of(&["", STATUSES[0], STATUSES[1], STATUSES[2]])),
            ("min_rating", number()),
            ("sort_by", one_of(MangaSort::WORDS)),
        ],
        [],
    );
    object([("data", list(named("MangaBrief"))), ("pagination", pages), ("filters", filters)], [])
}

/// A series in a list. What is not known is left out.
fn brief() -> Value {
    object(
        [("id", whole()), ("title", text()), ("status", one_of(Publication::WORDS))],
        [("author", text()), ("total_chapters", from(0)), ("cover_url", text()), ("average_rating", number())],
    )
}

/// A series by itself.
fn full() -> Value {
    let mut full = with(brief(), [("slug", text()), ("created_at", time()), ("genres", list(text()))]);
    full["properties"]["description"] = text();
    full
}

/// What this family's clients filter by.
const STATUSES: [&str; 3] =
    [Publication::Ongoing.as_str(), Publication::Completed.as_str(), Publication::Hiatus.as_str()];
