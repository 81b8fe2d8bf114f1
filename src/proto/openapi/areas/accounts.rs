//! Accounts and tokens.

use serde_json::json;

use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{chars, data, message, named, object, one_of, text, time, with};
use crate::store::model::Role;

/// The area.
pub fn area() -> Area {
    let user = object(
        [
            ("id", text()),
            ("username", text()),
            ("email", text()),
            ("role", one_of(Role::WORDS)),
            ("created_at", time()),
        ],
        [],
    );
    let login = object([("user", named("User")), ("token", text())], []);
    // Once more at the top, where an existing client's script reads it.
    let login = with(data(login), [("user", named("User")), ("token", text())]);
    Area {
        name: "Accounts",
        about: "Registering, logging in, and what ends a token.",
        routes: vec![register(), login_route(), logout_all(), me(), change_password()],
        shapes: vec![("User".into(), user), ("Login".into(), login)],
    }
}

fn register() -> Description {
    let body = || json!({"username": "newcomer", "email": "newcomer@example.org", "password": "correct horse"});
    let email = json!({"type": "string", "format": "email", "maxLength": 254});
    describe("POST /api/v1/auth/register", "Register")
        .says("Gives a token of seven days. Names and addresses are taken once, whatever their case.")
        .takes(object([("username", chars(3, 32)), ("email", email), ("password", chars(6, 72))], []))
        .gives(201, "The new user and a token", named("Login"))
        .refuses([403, 409])
        .example(example("A new user", "/api/v1/auth/register").sends(body()).gives(201))
        .example(
            example("A name that is taken", "/api/v1/auth/register")
                .after("POST", "/api/v1/auth/register", body())
                .sends(body())
                .gives(409),
        )
        .example(example("No password", "/api/v1/auth/register").sends(json!({"username": "newcomer"})).gives(400))
}

fn login_route() -> Description {
    describe("POST /api/v1/auth/login", "Log in")
        .says(
            "The name may be an e-mail address. After five failures there are pauses that grow, and the answer is 429.",
        )
        .takes(object([("password", text())], [("username", chars(0, 254)), ("email", chars(0, 254))]))
        .gives(200, "The user and a token of seven days", named("Login"))
        .refuses([401, 429])
        .example(
            example("A good password", "/api/v1/auth/login")
                .sends(json!({"username": "reader", "password": "correct horse"})),
        )
        .example(
            example("A wrong password", "/api/v1/auth/login")
                .sends(json!({"username": "reader", "password": "wrong horse"}))
                .gives(401),
        )
}

fn logout_all() -> Description {
    describe("POST /api/v1/auth/logout-all", "Log out everywhere")
        .says("Voids every token issued before, this one too, at once. Sync sessions end.")
        .gives(200, "Done", message())
        .ends_session()
        .example(example("Log out", "/api/v1/auth/logout-all"))
}

fn me() -> Description {
    describe("GET /api/v1/users/me", "Who am I?")
        .gives(200, "The user that the token is of", data(object([("user", named("User"))], [])))
        .refuses([404])
        .example(example("The user", "/api/v1/users/me"))
}

fn change_password() -> Description {
    describe("PUT /api/v1/users/me/password", "Change the password")
        .says("Voids every token issued before, this one too, at once.")
        .takes(object([("current_password", text()), ("new_password", chars(8, 72))], []))
        .gives(200, "Done", message())
        .refuses([403, 404, 429])
        .ends_session()
        .example(
            example("A new password", "/api/v1/users/me/password")
                .sends(json!({"current_password": "correct horse", "new_password": "another horse"})),
        )
        .example(
            example("Not the current one", "/api/v1/users/me/password")
                .sends(json!({"current_password": "wrong horse", "new_password": "another horse"}))
                .gives(403),
        )
}
