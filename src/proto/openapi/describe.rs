//! What a route can't say of itself: what it is for, what it takes and gives, and examples.
//!
//! A description reads from top to bottom:
//!
//! ```text
//! describe("PUT /api/v1/shelves/{shelf}", "Rename a shelf")
//!     .path("shelf", whole(), "The shelf's number")
//!     .takes(object([("name", chars(1, 80))], []))
//!     .gives(200, "The shelf", data(object([("shelf", named("Shelf"))], [])))
//!     .refuses([404])
//!     .example(
//!         example("Another name", "/api/v1/shelves/1")
//!             .after("POST", "/api/v1/shelves", json!({"name": "old"}))
//!             .sends(json!({"name": "new"}))
//!             .gives(200),
//!     )
//! ```

use serde_json::{Value, json};

use super::schema;
use crate::proto::routes::Family;

/// Routes that belong together, and the shapes that they show.
pub struct Area {
    /// The tag of its routes.
    pub name: &'static str,
    /// What they are about, in a sentence.
    pub about: &'static str,
    /// The routes.
    pub routes: Vec<Description>,
    /// Shapes by their names, for [`schema::named`].
    pub shapes: Vec<(String, Value)>,
}

/// What a route can't say of itself.
pub struct Description {
    /// Method and path, as in the table of routes. More than one where the same is said at several.
    pub places: Vec<&'static str>,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to know.
    pub details: &'static str,
    /// Names, schemas and meanings of its query's parts.
    pub query: Vec<(&'static str, Value, &'static str)>,
    /// The schema of its body, if it takes one.
    pub body: Option<Value>,
    /// What it gives when it does not refuse.
    pub answers: Vec<Given>,
    /// How it refuses, beside what holds for every route of its kind.
    pub refuses: Vec<u16>,
    /// Requests that can be sent as they are.
    pub examples: Vec<Example>,
    /// Whether the token it is asked with is worth nothing afterwards.
    pub ends_session: bool,
    path: Vec<(&'static str, Value, &'static str)>,
}

/// What a route gives under a status.
pub struct Given {
    /// The status.
    pub status: u16,
    says: &'static str,
    /// The media type and the schema, unless there is no body.
    body: Option<(&'static str, Value)>,
}

/// A request that can be sent as it is to a server that is new but for what comes before it, and the
/// status of its answer. In path and body `$reader`, `$friend` and `$ann` stand for the ids of the user
/// who asks, of another one and of the administrator, and `$1.data.list.id` for a value in the answer
/// to the first request before it.
pub struct Example {
    /// What it shows; unique among the examples of a route.
    pub says: &'static str,
    /// The path with its query.
    pub path: &'static str,
    /// The body.
    pub body: Option<Value>,
    status: u16,
    before: Vec<Value>,
}

/// A description of the route at this place: its method and path, as in the table of routes.
pub fn describe(place: &'static str, summary: &'static str) -> Description {
    Description {
        places: vec![place],
        summary,
        details: "",
        query: Vec::new(),
        body: None,
        answers: Vec::new(),
        refuses: Vec::new(),
        examples: Vec::new(),
        ends_session: false,
        path: Vec::new(),
    }
}

/// A request for an example. Until it is told otherwise it has no body and is answered with 200.
pub fn example(says: &'static str, path: &'static str) -> Example {
    Example { says, path, body: None, status: 200, before: Vec::new() }
}

impl Description {
    /// The same is said at another place.
    pub fn also_at(mut self, place: &'static str) -> Self {
        self.places.push(place);
        self
    }

    /// What else there is to know.
    pub fn says(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    /// What a `{name}` in the path stands for, where that is not known anyway.
    pub fn path(mut self, name: &'static str, schema: Value, says: &'static str) -> Self {
        self.path.push((name, schema, says));
        self
    }

    /// A part of the query. All are optional.
    pub fn query(mut self, name: &'static str, schema: Value, says: &'static str) -> Self {
        self.query.push((name, schema, says));
        self
    }

    /// `limit` and `offset`, as lists of the first family have them.
    pub fn window(self) -> Self {
        self.query("limit", schema::from(0), "At most so many; 0 is all").query(
            "offset",
            schema::from(0),
            "Skip so many; without a limit nothing is skipped",
        )
    }

    /// `page` and `page_size`, as lists of the second family have them.
    pub fn pages(self) -> Self {
        self.query("page", schema::from(1), "Which page; what can't be read is the first").query(
            "page_size",
            schema::between(1, 100),
            "Rows of a page; what can't be read is 20",
        )
    }

    /// The body.
    pub fn takes(mut self, schema: Value) -> Self {
        self.body = Some(schema);
        self
    }

    /// A JSON answer.
    pub fn gives(self, status: u16, says: &'static str, schema: Value) -> Self {
        self.gives_as("application/json", status, says, schema)
    }

    /// An answer of another media type.
    pub fn gives_as(mut self, media_type: &'static str, status: u16, says: &'static str, schema: Value) -> Self {
        self.answers.push(Given { status, says, body: Some((media_type, schema)) });
        self
    }

    /// An answer without a body.
    pub fn gives_nothing(mut self, status: u16, says: &'static str) -> Self {
        self.answers.push(Given { status, says, body: None });
        self
    }

    /// How it refuses, beside what holds for every route of its kind: 400, 401 and 403 where a token is
    /// needed, 408, 413, 421, 431 and 503.
    pub fn refuses<const N: usize>(mut self, statuses: [u16; N]) -> Self {
        self.refuses.extend(statuses);
        self
    }

    /// An example. The first of a path shows its usual case.
    pub fn example(mut self, example: Example) -> Self {
        self.examples.push(example);
        self
    }

    /// The token it is asked with is worth nothing afterwards.
    pub fn ends_session(mut self) -> Self {
        self.ends_session = true;
        self
    }

    /// The examples for one of its places.
    pub fn examples_at(&self, path: &str) -> impl Iterator<Item = &Example> {
        self.examples.iter().filter(move |example| example.fits(path))
    }

    /// What a `{name}` in the path stands for.
    pub fn path_parameter(&self, family: Family, name: &str) -> Option<(Value, &'static str)> {
        let own = self.path.iter().find(|(own, ..)| *own == name).map(|(_, schema, says)| (schema.clone(), *says));
        own.or_else(|| match (family, name) {
            (Family::V1, "manga") => Some((schema::text(), "A series: its slug or, if all digits, its key")),
            (Family::V2, "id" | "manga") => Some((schema::from(1), "A series: its key")),
            _ => None,
        })
    }
}

impl Given {
    /// As a response of the document.
    pub(super) fn json(&self, kept: bool, path: &str) -> Value {
        let mut response = json!({"description": self.says});
        if let Some((media_type, schema)) = &self.body {
            response["content"] = json!({*media_type: {"schema": schema}});
        }
        if kept && self.status == 200 {
            let says = format!("Names this version of {path}, for `If-None-Match`");
            response["headers"] = json!({"ETag": {"description": says, "schema": schema::text()}});
        }
        response
    }
}

impl Example {
    /// Its body.
    pub fn sends(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The status of its answer.
    pub fn gives(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// What the same user has to send before. `null` is no body.
    pub fn after(self, method: &'static str, path: &'static str, body: Value) -> Self {
        self.after_by("reader", method, path, body)
    }

    /// What somebody has to send before: `reader` who asks, `friend`, or `ann` the administrator.
    pub fn after_by(mut self, who: &'static str, method: &'static str, path: &'static str, body: Value) -> Self {
        self.before.push(json!({"as": who, "method": method, "path": path, "body": body}));
        self
    }

    /// Whether its path is one that a route's path stands for.
    pub fn fits(&self, path: &str) -> bool {
        let (own, wanted) = (self.bare_path().split('/'), path.split('/'));
        own.clone().count() == wanted.clone().count()
            && own.zip(wanted).all(|(own, wanted)| own == wanted || (wanted.starts_with('{') && !own.is_empty()))
    }

    /// What it has in the place of a `{name}`.
    pub fn segment(&self, path: &str, name: &str) -> Option<&'static str> {
        let place = path.split('/').position(|segment| segment.trim_matches(['{', '}']) == name)?;
        self.bare_path().split('/').nth(place).filter(|segment| !segment.starts_with('$'))
    }

    fn bare_path(&self) -> &'static str {
        self.path.split('?').next().unwrap_or(self.path)
    }

    /// As a part of the document.
    pub(super) fn json(&self) -> Value {
        let Self { says, path, body, status, before } = self;
        json!({"summary": says, "path": path, "body": body, "status": status, "before": before})
    }
}
