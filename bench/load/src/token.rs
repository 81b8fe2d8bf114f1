//! Tokens and users: whoever a client claims to be.
//!
//! A token is forged with the secret that the harness gave to the server, so that thousands of users cost
//! no password hash. Users that must exist in the store are registered over HTTP.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::LoadError;
use crate::guard;

/// A user and the token that says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The id, the same on every wire.
    pub user_id: String,
    /// The name to log in with.
    pub username: String,
    /// The token for `auth`.
    pub token: String,
}

/// Makes a token for a user who need not exist, with the server's secret.
pub fn forge(secret: &str, user_id: &str, username: &str) -> Result<Identity, LoadError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let claims = Claims {
        user_id,
        username,
        email: &format!("{username}@example.org"),
        role: "user",
        scopes: [],
        iss: "mangahub",
        sub: user_id,
        iat: now,
        nbf: now,
        exp: now + LIFE_S,
        jti: Uuid::new_v4(),
    };
    let key = EncodingKey::from_secret(secret.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| LoadError::Missing(format!("could not sign a token: {error}")))?;
    Ok(Identity { user_id: user_id.to_owned(), username: username.to_owned(), token })
}

/// Forges `count` different users, `reader-0` and on.
pub fn forge_many(secret: &str, count: usize) -> Result<Vec<Identity>, LoadError> {
    (0..count).map(|index| forge(secret, &Uuid::new_v4().to_string(), &format!("reader-{index}"))).collect()
}

/// The tokens of `count` different users, forged.
pub fn forge_tokens(secret: &str, count: usize) -> Result<Vec<String>, LoadError> {
    Ok(forge_many(secret, count)?.into_iter().map(|identity| identity.token).collect())
}

/// The tokens of `count` different users, of whom only the last one exists in the store.
pub fn forge_with_one_registered(secret: &str, http: SocketAddr, count: usize) -> Result<Vec<String>, LoadError> {
    forge_with_some_registered(secret, http, count, 1)
}

/// The tokens of `count` different users, of whom only the last `registered` exist in the store.
pub fn forge_with_some_registered(
    secret: &str,
    http: SocketAddr,
    count: usize,
    registered: usize,
) -> Result<Vec<String>, LoadError> {
    let mut tokens = forge_tokens(secret, count.saturating_sub(registered))?;
    tokens.extend(register(http, registered)?.into_iter().map(|identity| identity.token));
    Ok(tokens)
}

/// Registers `count` users over HTTP, one after the other on one connection, and returns their tokens.
pub fn register(http: SocketAddr, count: usize) -> Result<Vec<Identity>, LoadError> {
    guard::check(http)?;
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent = ureq::Agent::new_with_config(config);
    let run = &Uuid::new_v4().simple().to_string()[..8];
    (0..count).map(|index| register_one(&agent, http, &format!("bench_{run}_{index}"))).collect()
}

fn register_one(agent: &ureq::Agent, http: SocketAddr, username: &str) -> Result<Identity, LoadError> {
    let failed = |error: ureq::Error| LoadError::Wrong(format!("registering {username}: {error}"));
    let body = Registration { username, email: &format!("{username}@example.org"), password: PASSWORD };
    let url = format!("http://{http}/api/v1/auth/register");
    let mut answer = agent.post(&url).send_json(&body).map_err(failed)?;
    let text = answer.body_mut().read_to_string().map_err(failed)?;
    let registered: Registered = serde_json::from_str(&text)
        .map_err(|_| LoadError::Wrong(format!("registering {username}: {} {text}", answer.status())))?;
    Ok(Identity { user_id: registered.data.user.id, username: username.to_owned(), token: registered.data.token })
}

#[derive(Serialize)]
struct Claims<'a> {
    user_id: &'a str,
    username: &'a str,
    email: &'a str,
    role: &'a str,
    scopes: [&'a str; 0],
    iss: &'a str,
    sub: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: Uuid,
}

#[derive(Serialize)]
struct Registration<'a> {
    username: &'a str,
    email: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Registered {
    data: RegisteredData,
}

#[derive(Deserialize)]
struct RegisteredData {
    user: RegisteredUser,
    token: String,
}

#[derive(Deserialize)]
struct RegisteredUser {
    id: String,
}

/// The password of everyone who is registered here.
pub const PASSWORD: &str = "a long enough password";

/// An hour: longer than any run.
const LIFE_S: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    /// Shows that a forged token carries the claims the server asks for, by checking it as a server would.
    #[test]
    fn a_forged_token_verifies() {
        let secret = "0123456789abcdef0123456789abcdef";
        let identity = forge(secret, "user-1", "reader").unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&["mangahub"]);
        let key = DecodingKey::from_secret(secret.as_bytes());
        let claims = jsonwebtoken::decode::<serde_json::Value>(&identity.token, &key, &validation).unwrap().claims;
        assert_eq!((claims["user_id"].as_str(), claims["sub"].as_str()), (Some("user-1"), Some("user-1")));
        assert_eq!(claims["role"], "user");
    }
}
