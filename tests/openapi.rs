//! The document of the routes: it is OpenAPI, its examples do what they say, every answer has the shape
//! that it promises, and what a generator makes of it breaks nothing.
//!
//! The checks are Python's, since its tools are those that users of the document have. `scripts/test`
//! installs them; without them these tests fail.

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use common::http::HttpClient;
use common::{PASSWORD, TestServer, account, run};
use serde_json::{Value, json};

/// A program of the Python that `scripts/test` installs.
fn python(program: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin").join(program);
    assert!(path.exists(), "{} is not there: scripts/test installs it", path.display());
    Command::new(path)
}

/// A fresh server with its users: who asks, another one, and the administrator where one is needed.
struct World {
    server: TestServer,
    /// Ids and tokens by name.
    users: HashMap<&'static str, (String, String)>,
    /// The answers to the requests before an example.
    answers: Vec<Value>,
}

impl World {
    fn new(administrator: bool) -> Self {
        // Nobody is held back who changes things faster than people do.
        let server = TestServer::unmetered();
        let mut world = Self { server, users: HashMap::new(), answers: Vec::new() };
        for name in ["reader", "friend"] {
            let account = world.server.register(name);
            world.users.insert(name, (account.id, account.token));
        }
        if administrator {
            let url = format!("store.url=sqlite:{}/mangahub.db", world.server.folder().display());
            let arguments = ["admin", "create-user", "ann", "--email", "ann@example.org", "--role", "admin"];
            let options = ["--password-stdin", "--set", "auth.bcrypt_cost=4", "--set", &url];
            let made = run(world.server.folder(), &[&arguments[..], &options].concat(), PASSWORD);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let login = json!({"username": "ann", "password": PASSWORD});
            let ann = account(&world.server.http().post("/api/v1/auth/login", None, &login).json());
            world.users.insert("ann", (ann.id, ann.token));
        }
        world
    }

    /// Puts in what `$reader` and `$1.data.id` stand for.
    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (number, answer) in self.answers.iter().enumerate() {
            let mark = format!("${}.", number + 1);
            while let Some(begins) = filled.find(&mark) {
                let pointer: String = filled[begins + mark.len() - 1..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || ['.', '_'].contains(c))
                    .collect();
                let ends = begins + mark.len() - 1 + pointer.len();
                let found =
                    answer.pointer(&pointer.replace('.', "/")).unwrap_or_else(|| panic!("no {pointer} in {answer}"));
                let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                filled.replace_range(begins..ends, &found);
            }
        }
        let users = self.users.iter();
        users.fold(filled, |filled, (name, (id, _))| filled.replace(&format!("${name}"), id))
    }

    /// The same in a body; a text that is nothing else becomes the number that it stands for.
    fn fill_body(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.contains('$') => {
                let filled = self.fill(text);
                let number = filled.parse::<i64>().ok().filter(|_| text.starts_with('$'));
                number.map_or_else(|| json!(filled), |number| json!(number))
            }
            Value::Array(items) => items.iter().map(|item| self.fill_body(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.fill_body(member))).collect()
            }
            other => other.clone(),
        }
    }

    fn send(&self, who: Option<&str>, method: &str, path: &str, body: &Value) -> common::http::Reply {
        let token = who.map(|who| self.users[who].1.as_str());
        let body = Some(self.fill_body(body)).filter(|body| !body.is_null());
        self.server.http().json(method, &self.fill(path), token, body.as_ref())
    }
}

/// Who asks: whoever the route is for.
fn asker(operation: &Value) -> Option<&'static str> {
    let scheme = operation["security"].as_array().unwrap().first()?;
    // Beside the scheme stands what is demanded beyond a token.
    let user = scheme["bearerAuth"].as_array().unwrap().is_empty();
    Some(if user { "reader" } else { "ann" })
}

fn uses_administrator(operation: &Value, example: &Value) -> bool {
    asker(operation) == Some("ann")
        || example.to_string().contains("$ann")
        || example["before"].as_array().unwrap().iter().any(|step| step["as"] == "ann")
}

/// Sends an example to a fresh server, and tells what came.
fn replay(method: &str, route: &str, operation: &Value, example: &Value) -> Value {
    let mut world = World::new(uses_administrator(operation, example));
    for step in example["before"].as_array().unwrap() {
        let text = |name: &str| step[name].as_str().unwrap();
        // Who asks is who the route is for; others are named.
        let who = if text("as") == "reader" { asker(operation).unwrap_or("reader") } else { text("as") };
        let reply = world.send(Some(who), text("method"), text("path"), &step["body"]);
        assert!((200..300).contains(&reply.status), "before {method} {route}: {step}: {}", reply.text());
        world.answers.push(serde_json::from_slice(&reply.body).unwrap_or_default());
    }
    let path = example["path"].as_str().unwrap();
    let reply = world.send(asker(operation), method, path, &example["body"]);
    assert_eq!(json!(reply.status), example["status"], "{method} {path}: {example}: {}", reply.text());
    json!({
        "method": method,
        "route": route,
        "path": path,
        "sent": world.fill_body(&example["body"]),
        "status": reply.status,
        "media_type": reply.header("content-type").unwrap_or(""),
        "body": serde_json::from_slice::<Value>(&reply.body).unwrap_or_default(),
    })
}

/// The document is OpenAPI 3.1; each example is answered as it says; every answer has the described
/// shape, with nothing missing and nothing that is not described.
#[test]
fn examples_do_what_they_say() {
    let document = TestServer::start().http().get("/openapi.json", None).json();
    let mut exchanges = Vec::new();
    for (route, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for example in operation["x-examples"].as_array().unwrap() {
                exchanges.push(replay(&method.to_uppercase(), route, operation, example));
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (document_file, exchanges_file) = (folder.path().join("document"), folder.path().join("exchanges"));
    std::fs::write(&document_file, document.to_string()).unwrap();
    std::fs::write(&exchanges_file, json!(exchanges).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/check_openapi.py");
    let checked = python("python3").arg(script).args([&document_file, &exchanges_file]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
}

/// What the generator looks for.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Requests that a generator makes of the document, as a user and against rows that are there: none is
/// our fault, and every answer has a described status, media type and shape. What ends the user's
/// session is left out. The same requests are made each time, a bounded number for each route.
#[test]
fn a_generator_finds_no_fault() {
    let world = World::new(false);
    let (_, token) = &world.users["reader"];
    for manga in ["akira", "berserk", "one-piece"] {
        let body = json!({"manga_id": manga, "status": "reading"});
        world.server.http().post("/api/v1/users/library", Some(token), &body).data(201);
    }
    generate(&world, token, &["--exclude-by", "/x-ends-session == true"]);
}

/// The same as an administrator, without the routes for which any token will do: what only an
/// administrator may do is 403 throughout for the user.
#[test]
fn a_generator_finds_no_fault_as_administrator() {
    let world = World::new(true);
    let (_, token) = &world.users["ann"];
    let said = generate(&world, token, &["--exclude-by", "/security/0/bearerAuth == []"]);
    assert!(!said.contains("403 Forbidden ("), "nothing is forbidden throughout: {said}");
}

/// Lets the generator loose on the routes that `filter` leaves, with a token, and returns what it said.
fn generate(world: &World, token: &str, filter: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let run = python("schemathesis")
        .current_dir(folder.path())
        .args(["--no-color", "run", &format!("http://{}/openapi.json", world.server.address("http"))])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS])
        .args(filter)
        .args(["--generation-deterministic", "--max-examples", "10"])
        .args(["--request-timeout", "20"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(!said.contains("401 Unauthorized ("), "the token must count to the end: {said}");
    assert_eq!(world.server.varz()["panics"], 0);
    world.server.http().get("/api/v1/users/me", Some(token)).data(200);
    said
}

/// The page and its parts are served with a policy that forbids everything from elsewhere, and name
/// no place that is not there.
#[test]
fn the_page_is_served_under_a_strict_policy() {
    let server = TestServer::start();
    let mut http: HttpClient = server.http();
    for (path, media_type) in [
        ("/docs", "text/html"),
        ("/docs/", "text/html"),
        ("/docs/app.js", "text/javascript"),
        ("/docs/style.css", "text/css"),
    ] {
        let reply = http.get(path, None);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some(format!("{media_type}; charset=utf-8").as_str()), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        let policy = reply.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.split("; ").any(|own| own == part), "{part} is not in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    }
    let page = http.get("/docs", None).text();
    let links = page.split(['"', '\'']).filter(|part| part.starts_with('/'));
    for link in links {
        assert_eq!(http.get(link, None).status, 200, "{link}");
    }
}
