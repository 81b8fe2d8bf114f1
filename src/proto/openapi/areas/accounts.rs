//! Accounts and tokens.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{
    chars, data, from, list, message, named, object, one_of, or_null, text, time, with,
};
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
        routes: vec![
            register(),
            login_route(),
            logout_all(),
            udp_token(),
            me(),
            change_password(),
            leave(),
            export(),
            register_v2(),
            login_v2(),
            refresh(),
            revoke(),
        ],
        shapes: vec![
            ("User".into(), user),
            ("Login".into(), login),
            ("Tokens".into(), tokens()),
            (
                "ExportSection".into(),
                object([("items", list(json!({"type": "object"}))), ("next", or_null(text()))], []),
            ),
        ],
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

fn udp_token() -> Description {
    describe("POST /api/v1/auth/udp-token", "A token for datagrams")
        .says("Shown in a datagram that registers an address, it proves whose address that is. It is good for ten minutes and for nothing else; the registration outlives it.")
        .gives(200, "The token, and its life in seconds", data(object([("token", text()), ("expires_in", from(1))], [])))
        .example(example("A token", "/api/v1/auth/udp-token"))
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
        .refuses([403, 404, 409, 429])
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

fn leave() -> Description {
    describe("DELETE /api/v1/users/me", "Leave for good")
        .says("The account is gone with the answer, and so is every token. What it held is erased soon after.")
        .takes(object([("password", text())], []))
        .gives(200, "Done", message())
        .refuses([403, 404, 409, 429])
        .ends_session()
        .example(example("Leave", "/api/v1/users/me").sends(json!({"password": "correct horse"})))
        .example(example("A wrong password", "/api/v1/users/me").sends(json!({"password": "wrong horse"})).gives(403))
}

fn export() -> Description {
    let mut everything = object([("exported_at", time()), ("account", named("User"))], []);
    everything["additionalProperties"] = named("ExportSection");
    describe("GET /api/v1/users/me/export", "Take everything along")
        .says("Each section has at most 1,000 rows; `next` is the path of the part that follows, which has that section alone.")
        .query("section", text(), "One section only, such as `history` or `lists`")
        .query("after", from(1), "Rows after this place of the section, as `next` has it")
        .gives(200, "The account and its sections, as a file", data(everything))
        .refuses([404])
        .example(
            example("Everything", "/api/v1/users/me/export")
                .after("POST", "/api/v1/users/library", json!({"manga_id": "akira", "status": "reading"})),
        )
        .example(example("One section", "/api/v1/users/me/export?section=history"))
}

/// The second family's pair of tokens.
fn tokens() -> Value {
    object(
        [
            ("access_token", text()),
            ("refresh_token", text()),
            ("token_type", json!({"const": "Bearer"})),
            ("expires_in", from(1)),
        ],
        [("user_id", text()), ("username", text())],
    )
}

fn register_v2() -> Description {
    let body = || json!({"username": "newcomer", "email": "newcomer@example.org", "password": "correct horse"});
    let email = json!({"type": "string", "format": "email", "maxLength": 254});
    describe("POST /auth/register", "Register, without logging in")
        .takes(object([("username", chars(3, 50)), ("email", email), ("password", chars(8, 72))], []))
        .gives(201, "The new user", object([("user_id", text()), ("username", text()), ("email", text())], []))
        .refuses([403, 409])
        .example(example("A new user", "/auth/register").sends(body()).gives(201))
        .example(
            example("A name that is taken", "/auth/register")
                .after("POST", "/auth/register", body())
                .sends(body())
                .gives(409),
        )
}

fn login_v2() -> Description {
    describe("POST /auth/login", "Log in with a short token and a refresh token")
        .takes(object([("password", text())], [("username", chars(0, 254)), ("email", chars(0, 254))]))
        .gives(200, "The user and both tokens; `expires_in` is the first one's life in seconds", named("Tokens"))
        .refuses([401, 429])
        .example(example("A good password", "/auth/login").sends(reader()))
        .example(
            example("A wrong password", "/auth/login")
                .sends(json!({"username": "reader", "password": "wrong horse"}))
                .gives(401),
        )
}

fn refresh() -> Description {
    describe("POST /auth/refresh", "Trade the refresh token for new tokens")
        .says("A refresh token is good once. One that comes again ends all that came from the same login.")
        .takes(object([("refresh_token", text())], []))
        .gives(200, "Both tokens", named("Tokens"))
        .refuses([401])
        .example(
            example("A good one", "/auth/refresh")
                .after("POST", "/auth/login", reader())
                .sends(json!({"refresh_token": "$1.refresh_token"})),
        )
        .example(example("An unknown one", "/auth/refresh").sends(json!({"refresh_token": "x"})).gives(401))
}

fn revoke() -> Description {
    describe("POST /auth/revoke", "Log out: void a refresh token")
        .says("Answers alike whether there was such a token or not.")
        .takes(object([("refresh_token", text())], []))
        .gives(200, "Done", object([("message", text())], []))
        .example(
            example("A good one", "/auth/revoke")
                .after("POST", "/auth/login", reader())
                .sends(json!({"refresh_token": "$1.refresh_token"})),
        )
}

fn reader() -> Value {
    json!({"username": "reader", "password": "correct horse"})
}
