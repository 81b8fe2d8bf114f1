//! Accounts as both families' clients use them: logging in, refreshing, asking who one is.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::http::Reply;
use super::{DEADLINE, SECRET, TestServer};

/// What a login of the second family gave.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The token for everything.
    pub access: String,
    /// The token for the next two, good once.
    pub refresh: String,
}

/// The tokens in the answer to a login or a refresh, which must be one.
pub fn tokens(reply: &Reply) -> Tokens {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

/// Logs in as the second family's clients do.
pub fn login(server: &TestServer, username: &str, password: &str) -> Reply {
    server.http().post("/auth/login", None, &json!({"username": username, "password": password}))
}

/// Asks for new tokens.
pub fn refresh(server: &TestServer, token: &str) -> Reply {
    server.http().post("/auth/refresh", None, &json!({"refresh_token": token}))
}

/// Asserts a refusal in the second family's shape.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!((reply.status, &reply.json()), (status, &json!({"error": error})));
}

/// The status of asking who one is: 200 while a token is good.
pub fn me(server: &TestServer, token: &str) -> u16 {
    server.http().get("/api/v1/users/me", Some(token)).status
}

/// The time of tokens.
pub fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A token that some tool made.
pub fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// The database of a server, to look into.
pub fn database(server: &TestServer) -> Connection {
    let conn = Connection::open(server.folder().join("mangahub.db")).unwrap();
    conn.busy_timeout(DEADLINE).unwrap();
    conn
}
