//! JSON schemas, in the words that descriptions are written with.

use serde_json::{Map, Value, json};

/// Any text.
pub fn text() -> Value {
    json!({"type": "string"})
}

/// A text of so many characters.
pub fn chars(min: u64, max: u64) -> Value {
    json!({"type": "string", "minLength": min, "maxLength": max})
}

/// One of these words.
pub fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A time.
pub fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// True or false.
pub fn truth() -> Value {
    json!({"type": "boolean"})
}

/// A whole number.
pub fn whole() -> Value {
    json!({"type": "integer"})
}

/// A whole number from `min`.
pub fn from(min: i64) -> Value {
    json!({"type": "integer", "minimum": min})
}

/// A whole number from `min` to `max`.
pub fn between(min: i64, max: i64) -> Value {
    json!({"type": "integer", "minimum": min, "maximum": max})
}

/// A number from 0, not whole perhaps.
pub fn number() -> Value {
    json!({"type": "number", "minimum": 0})
}

/// A list of these.
pub fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// A list of at most so many of these.
pub fn up_to(most: usize, items: Value) -> Value {
    json!({"type": "array", "items": items, "maxItems": most})
}

/// This, or null.
pub fn or_null(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    match schema.get("type").cloned() {
        Some(kind) => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        None => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// The shape of this name, from some area's `shapes`.
pub fn named(shape: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{shape}")})
}

/// An object with members that are always there, and members that may be missing.
pub fn object<const A: usize, const B: usize>(always: [(&str, Value); A], maybe: [(&str, Value); B]) -> Value {
    let required: Vec<&str> = always.iter().map(|(name, _)| *name).collect();
    let members = always.into_iter().chain(maybe).map(|(name, schema)| (name.to_owned(), schema));
    json!({"type": "object", "required": required, "properties": members.collect::<Map<_, _>>()})
}

/// The same object with further members that are always there; one of a name it has replaces it.
pub fn with<const A: usize>(mut object: Value, always: [(&str, Value); A]) -> Value {
    for (name, schema) in always {
        let known = object["properties"].get(name).is_some();
        object["properties"][name] = schema;
        if let (false, Some(required)) = (known, object["required"].as_array_mut()) {
            required.push(json!(name));
        }
    }
    object
}

/// What the first family puts around an answer.
pub fn data(data: Value) -> Value {
    object([("success", json!({"const": true})), ("data", data)], [])
}

/// An answer of the first family that says only that it was done.
pub fn message() -> Value {
    data(object([("message", text())], []))
}

/// What the first family puts around a list.
pub fn items(item: Value) -> Value {
    let meta = ("meta", named("Meta"));
    with(data(object([("items", list(item))], [])), [meta])
}

/// What the second family puts around a list.
pub fn page_of(item: Value) -> Value {
    let count = || from(0);
    let counts = [("page", from(1)), ("page_size", from(1)), ("total", count()), ("total_pages", count())];
    with(object([("data", list(item))], []), counts)
}

/// The second family's refusals say what is demanded and what the token has, where that is why.
fn error_v2() -> Value {
    let required = json!({"type": ["array", "string"], "items": {"type": "string"}});
    object([("error", text())], [("required", required), ("granted", list(text())), ("current", text())])
}

/// The shapes that every route can answer with: refusals, and how a part of a list stands to the whole.
pub fn errors() -> Vec<(String, Value)> {
    let code = json!({"type": "string", "pattern": "^[A-Z_]+$", "examples": ["BAD_REQUEST"]});
    let error = object([("code", code), ("message", text())], []);
    let count = || from(1);
    let meta = object(
        [],
        [
            ("total", count()),
            ("count", from(0)),
            ("limit", count()),
            ("offset", count()),
            ("has_more", json!({"const": true})),
            ("page", count()),
            ("total_pages", count()),
        ],
    );
    vec![
        ("Error".into(), object([("success", json!({"const": false})), ("error", error)], [])),
        ("ErrorV2".into(), error_v2()),
        ("Meta".into(), meta),
    ]
}
