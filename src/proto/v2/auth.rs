//! The second family's accounts and tokens: its routes, what is read, and how it is answered.

use serde_json::{Value, json};

use crate::handlers::account;
use crate::handlers::api::ApiError;
use crate::handlers::auth::{Login, Register};
use crate::handlers::password::PasswordRule;
use crate::handlers::refresh::{LOGIN, Pair, REFRESH, REGISTER, REVOKE, Reply};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, HttpInput, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::http(Family::V2, Method::Post, "/auth/register", REGISTER, read_register),
        Route::http(Family::V2, Method::Post, "/auth/login", LOGIN, read_login),
        Route::http(Family::V2, Method::Post, "/auth/refresh", REFRESH, read_refresh_token),
        Route::http(Family::V2, Method::Post, "/auth/revoke", REVOKE, read_refresh_token),
    ]
}

fn read_register(input: &HttpInput<'_>) -> Result<Register, ApiError> {
    let body = input.body()?;
    Ok(Register {
        username: account::check_username(body.need_text("username")?.into_owned(), USERNAME_CHARACTERS_MAX)?,
        email: account::check_email(body.need_text("email")?.into_owned())?,
        password: PasswordRule::STANDARD.check(body.need_text("password")?.into_owned())?,
    })
}

/// A name or an address; its clients send the one that they don't have as `""`.
fn read_login(input: &HttpInput<'_>) -> Result<Login, ApiError> {
    let body = input.body()?;
    let (name, address) =
        (body.short_text("username", LOGIN_CHARACTERS_MAX)?, body.short_text("email", LOGIN_CHARACTERS_MAX)?);
    let login = name.into_iter().chain(address).find(|login| !login.is_empty());
    let login = login.ok_or_else(|| ApiError::invalid("username or email: required"))?.into_owned();
    Ok(Login { login, password: body.need_text("password")?.into_owned() })
}

fn read_refresh_token(input: &HttpInput<'_>) -> Result<String, ApiError> {
    Ok(input.body()?.need_text("refresh_token")?.into_owned())
}

pub(super) fn show(reply: &Reply) -> Response {
    let (status, body) = match reply {
        Reply::Registered(user) => (201, json!({"user_id": user.id, "username": user.username, "email": user.email})),
        Reply::LoggedIn(user, pair) => {
            let mut body = tokens(pair);
            body["user_id"] = json!(user.id);
            body["username"] = json!(user.username);
            (200, body)
        }
        Reply::Refreshed(pair) => (200, tokens(pair)),
    };
    Response::json(status, body.to_string())
}

/// Its clients refresh some minutes before the end that they are told, so it is the true one.
fn tokens(pair: &Pair) -> Value {
    json!({
        "access_token": pair.access, "refresh_token": pair.refresh,
        "token_type": "Bearer", "expires_in": pair.access_life_s,
    })
}

/// The longest name this family's registration takes.
const USERNAME_CHARACTERS_MAX: usize = 50;

/// No name or address is longer, so no longer one is looked for.
const LOGIN_CHARACTERS_MAX: usize = 254;
