//! The OpenAPI 3.1 document of the public routes, and the page that lets a person try them.
//!
//! What the table of routes knows (method, path, who may ask, whose shapes) is taken from it, so it
//! can't drift. What it can't know stands in a [`Description`], in one file for
//! each area: `areas/`. A route without a description fails a test here; every example is replayed
//! against a running server, and the answers are checked against the shapes, in `tests/openapi.rs`.
//!
//! The operator's listener is not in the document: it is for other people, on another address.

pub mod areas;
pub mod describe;
mod page;
pub mod schema;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use self::describe::{Area, Description, Example};
use super::http1::Method;
use super::routes::{Family, On, ROUTES, Route, name};
use crate::handlers::api::Document;
use crate::handlers::encoded::Encoded;
use crate::handlers::{Access, documents};

/// The routes of the document and of its page.
pub fn routes() -> Vec<Route> {
    let show = |path, read| Route::http(Family::V1, Method::Get, path, documents::SHOW, read).kept();
    vec![
        show("/openapi.json", |_| Ok(document())),
        show("/docs", |_| Ok(page::html())),
        show("/docs/app.js", |_| Ok(page::script())),
        show("/docs/style.css", |_| Ok(page::style())),
    ]
}

/// The document, made once.
pub fn document() -> Document {
    static MADE: LazyLock<Arc<Encoded>> = LazyLock::new(|| Arc::new(Encoded::new(build().to_string().into_bytes())));
    Document { content_type: "application/json", body: MADE.clone(), headers: &[] }
}

fn build() -> Value {
    let areas = areas::all();
    let each = areas.iter().flat_map(|area| area.routes.iter().map(move |description| (area, description)));
    let described: HashMap<&str, (&Area, &Description)> =
        each.flat_map(|(area, said)| said.places.iter().map(move |place| (*place, (area, said)))).collect();
    let mut paths: Map<String, Value> = Map::new();
    for (route, method, path) in public_routes() {
        let Some((area, description)) = described.get(place(method, path).as_str()) else { continue };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[name(method).to_ascii_lowercase()] = operation(route, method, path, area, description);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "MangaHub",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Keeps track of the manga that people read, on all their devices at once.",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that gave you this document"}],
        "tags": areas.iter().map(|area| json!({"name": area.name, "description": area.about})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": areas.iter().flat_map(|area| area.shapes.clone()).chain(schema::errors()).collect::<Map<_, _>>(),
            "responses": refusals(),
        },
    })
}

/// Every route that the document is about.
fn public_routes() -> impl Iterator<Item = (&'static Route, Method, &'static str)> {
    ROUTES.iter().filter_map(|route| match (route.on, route.family) {
        (On::Http(method, path), Family::V1 | Family::V2) => Some((route, method, path)),
        _ => None,
    })
}

/// How a description names the place of a route.
fn place(method: Method, path: &str) -> String {
    format!("{} {path}", name(method))
}

fn operation(route: &Route, method: Method, path: &str, area: &Area, description: &Description) -> Value {
    let mut operation = json!({
        "operationId": operation_id(method, path),
        "summary": description.summary,
        "tags": [area.name],
        "security": security(route.access),
        "parameters": parameters(route, path, description),
        "responses": responses(route, path, description),
        "x-call": route.name,
        "x-examples": description.examples_at(path).map(Example::json).collect::<Vec<_>>(),
    });
    if !description.details.is_empty() {
        operation["description"] = json!(description.details);
    }
    if let Some(schema) = &description.body {
        let examples = description.examples_at(path).filter_map(|example| Some((example.says, example.body.as_ref()?)));
        let examples: Map<_, _> = examples.map(|(says, body)| (says.to_owned(), json!({"value": body}))).collect();
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": schema, "examples": examples}}});
    }
    if description.ends_session {
        operation["x-ends-session"] = json!(true);
    }
    operation
}

/// A name for programs that are made from the document: `get_api_v1_manga_manga`.
fn operation_id(method: Method, path: &str) -> String {
    let words = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    words.fold(name(method).to_ascii_lowercase(), |id, word| format!("{id}_{word}"))
}

/// Who may ask. Beside the scheme stands what the token's role must grant.
fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Guest => json!([{"bearerAuth": []}, {}]),
        Access::User => json!([{"bearerAuth": []}]),
        Access::Scope(scope) => json!([{"bearerAuth": [scope]}]),
        Access::Admin => json!([{"bearerAuth": ["role:admin"]}]),
    }
}

fn parameters(route: &Route, path: &str, description: &Description) -> Vec<Value> {
    let example = description.examples_at(path).next();
    let in_path = path_names(path).map(|name| {
        let (schema, says) = description.path_parameter(route.family, name).unwrap_or((schema::text(), ""));
        let example = example.and_then(|example| example.segment(path, name));
        parameter("path", name, &schema, says, example)
    });
    let in_query = description.query.iter().map(|(name, schema, says)| parameter("query", name, schema, says, None));
    let mut all: Vec<Value> = in_path.chain(in_query).collect();
    if route.kept {
        let says = "The `ETag` of an earlier answer. While it still holds, the answer is 304, without a body.";
        all.push(parameter("header", "If-None-Match", &schema::text(), says, None));
    }
    all
}

fn parameter(place: &str, name: &str, schema: &Value, says: &str, example: Option<&str>) -> Value {
    let mut parameter =
        json!({"name": name, "in": place, "required": place == "path", "schema": schema, "description": says});
    if let Some(example) = example {
        let number = example.parse::<i64>().ok().filter(|_| schema["type"] == "integer");
        parameter["example"] = number.map_or_else(|| json!(example), |number| json!(number));
    }
    parameter
}

/// The names between braces.
fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(route: &Route, path: &str, description: &Description) -> Value {
    let mut responses = Map::new();
    for answer in &description.answers {
        responses.insert(answer.status.to_string(), answer.json(route.kept, path));
    }
    if route.kept {
        let says = "What `If-None-Match` names still holds; there is no body.";
        responses.insert("304".into(), json!({"description": says}));
    }
    let mut refused = vec![400, 408, 421, 431, 503];
    match route.access {
        Access::Public => {}
        Access::Guest | Access::User => refused.push(401),
        Access::Scope(_) | Access::Admin => refused.extend([401, 403]),
    }
    if description.body.is_some() {
        refused.push(413);
    }
    if route.access != Access::Public && !matches!(route.on, On::Http(Method::Get, _)) {
        refused.push(429);
    }
    refused.extend(&description.refuses);
    let family = if route.family == Family::V2 { "V2" } else { "V1" };
    for status in refused {
        let shared = json!({"$ref": format!("#/components/responses/{family}_{status}")});
        responses.entry(status.to_string()).or_insert(shared);
    }
    responses.sort_keys();
    Value::Object(responses)
}

/// The refusals of both families, each described once.
fn refusals() -> Map<String, Value> {
    let mut all = Map::new();
    for (family, shape) in [("V1", "Error"), ("V2", "ErrorV2")] {
        for (status, says) in REFUSALS {
            let content = json!({"application/json": {"schema": schema::named(shape)}});
            all.insert(format!("{family}_{status}"), json!({"description": says, "content": content}));
        }
    }
    all
}

/// What each refusal means, on every route that has it.
const REFUSALS: [(u16, &str); 13] = [
    (400, "The request can't be read, or a part of it is missing or wrong; the message names it"),
    (401, "No token, or one that does not count"),
    (403, "You may not do this"),
    (404, "There is no such thing"),
    (408, "The request did not arrive in time"),
    (409, "It is there already, or no longer as you believe"),
    (413, "The body is too large"),
    (421, "The host is not this server's"),
    (426, "Another version of the protocol is spoken here; `Sec-WebSocket-Version` says which"),
    (429, "Too often; `Retry-After` says in how many seconds to try again"),
    (431, "The head is too large"),
    (500, "The server's fault"),
    (503, "The server is busy, or nothing was stored; `Retry-After` says when to try again"),
];

/// What holds for every route.
const ABOUT: &str = "\
Routes under `/api/v1`, and the short aliases of some of them, answer `{\"success\":true,\"data\":…}` and refuse with \
`{\"success\":false,\"error\":{\"code\",\"message\"}}`. Routes of the second family (`/auth`, `/api`) answer bare objects \
and refuse with `{\"error\":\"…\"}`. Unknown members of a body are ignored; `null` means \"not given\". Times are RFC 3339 \
in UTC. Answers of a kilobyte and more are compressed for clients that take gzip. `HEAD` is answered wherever `GET` is, \
and `OPTIONS` everywhere; another method is refused with 405 and `Allow`.\n\n\
Progress in real time is not here: it is spoken over TCP, one JSON object to a line.";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn places() -> HashSet<String> {
        public_routes().map(|(_, method, path)| place(method, path)).collect()
    }

    /// Every route is described, once, and nothing else is.
    #[test]
    fn every_route_is_described() {
        let mut described = HashSet::new();
        for area in areas::all() {
            for description in area.routes {
                for place in description.places {
                    assert!(described.insert(place.to_owned()), "{place} is described twice");
                }
            }
        }
        let mut missing: Vec<_> = places().difference(&described).cloned().collect();
        missing.sort();
        assert_eq!(missing, Vec::<String>::new(), "routes without a description in src/proto/openapi/areas/");
        let stray: Vec<_> = described.difference(&places()).cloned().collect();
        assert_eq!(stray, Vec::<String>::new(), "descriptions of routes that don't exist");
    }

    /// Each description says what a reader must know: a summary, an answer, each parameter of its
    /// path, and an example for each of its places that some route answers.
    #[test]
    fn descriptions_are_whole() {
        for area in areas::all() {
            for description in &area.routes {
                let first = description.places[0];
                assert!(!description.summary.is_empty() && !description.answers.is_empty(), "{first}");
                for place in &description.places {
                    let (method, path) = place.split_once(' ').unwrap();
                    let family = if super::super::v2::owns(path) { Family::V2 } else { Family::V1 };
                    for name in path_names(path) {
                        assert!(description.path_parameter(family, name).is_some(), "{place}: {{{name}}}");
                    }
                    assert!(description.examples_at(path).next().is_some(), "{place} has no example");
                    assert!(description.body.is_none() || method != "GET");
                }
                for example in &description.examples {
                    let fits = |place: &&str| example.fits(place.split_once(' ').unwrap().1);
                    assert!(description.places.iter().any(fits), "{first}: {} fits no path", example.path);
                }
            }
        }
    }

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    /// What is referred to is there, and what is there is referred to; names of operations are unique.
    #[test]
    fn references_lead_somewhere() {
        let document = build();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
        for shape in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/schemas/{shape}").as_str()), "nothing has the shape {shape}");
        }
        let operations = document["paths"].as_object().unwrap().values();
        let operations = operations.flat_map(|item| item.as_object().unwrap().values());
        let ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(ids.len(), places().len());
    }
}
