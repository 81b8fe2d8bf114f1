//! Refresh tokens: how the second family stays logged in with access tokens that live for minutes.
//!
//! A token is good for one use and replaced by it. The tokens that replaced each other are a family; a
//! spent one that comes again was copied by somebody, and since nobody can tell who is the thief, the
//! family ends for both. What is kept of a token is its hash: whoever reads the database can't log in.

use sha2::{Digest as _, Sha256};

use super::api::{self, ApiError, ErrorKind};
use super::auth::{Login, Register, issue, make_account, prove};
use super::effect::Lane;
use super::session::Session;
use super::{Access, Call, Ctx, State};
use crate::store::StoreError;
use crate::store::model::{Digest, NewFamily, RefreshKey, Rotation, User};

/// Makes an account; its owner logs in afterwards.
pub const REGISTER: Call<Register> =
    Call { name: "auth.register_only", access: Access::Public, lane: Lane::Slow, run: register };
/// Gives an access token and a refresh token for a password.
pub const LOGIN: Call<Login> =
    Call { name: "auth.login_with_refresh", access: Access::Public, lane: Lane::Slow, run: login };
/// Gives both anew for a refresh token, which is then spent.
pub const REFRESH: Call<String> =
    Call { name: "auth.refresh", access: Access::Public, lane: Lane::Write, run: refresh };
/// Ends the family of a refresh token.
pub const REVOKE: Call<String> = Call { name: "auth.revoke", access: Access::Public, lane: Lane::Write, run: revoke };

/// What these calls answer.
#[derive(Debug)]
pub enum Reply {
    /// A new user.
    Registered(Box<User>),
    /// A user with tokens to begin with.
    LoggedIn(Box<User>, Pair),
    /// The tokens that follow.
    Refreshed(Pair),
}

/// What a client goes on with.
#[derive(Debug)]
pub struct Pair {
    /// For every request.
    pub access: String,
    /// How long it lives, in seconds.
    pub access_life_s: i64,
    /// For one refresh.
    pub refresh: String,
}

fn register(args: Register, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    make_account(args, "Account creation failed", ctx, |user, ctx| {
        ctx.reply(api::Reply::Tokens(Reply::Registered(Box::new(user))));
    })
}

fn login(args: Login, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    prove(args, BAD_CREDENTIALS, ctx, |user, ctx| {
        let token = Plain::begin(ctx.state);
        let family = NewFamily {
            user_id: user.id.clone(),
            valid_from: user.valid_from,
            key: token.key(),
            issued_at: ctx.now.unix_ms,
            expires_at: end_ms(ctx),
        };
        ctx.run(
            Lane::Write,
            move |store| store.begin_refresh(&family),
            move |begun, _, ctx| {
                // The user's tokens were voided while the password was compared, or the user has gone.
                begun.map_err(|error| match error {
                    StoreError::NotFound => ApiError::new(ErrorKind::Unauthorized, BAD_CREDENTIALS),
                    other => other.into(),
                })?;
                let pair = pair(&user, &token, ctx);
                ctx.reply(api::Reply::Tokens(Reply::LoggedIn(Box::new(user), pair)));
                Ok(())
            },
        );
    })
}

fn refresh(presented: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let refused = |why| ApiError::new(ErrorKind::Unauthorized, why);
    let spent = Plain::parse(&presented).ok_or_else(|| refused("invalid refresh token"))?;
    let next = spent.next(ctx.state);
    let (spent, replacement, now_ms, end_ms) = (spent.key(), next.key().token, ctx.now.unix_ms, end_ms(ctx));
    ctx.run(
        Lane::Write,
        move |store| store.rotate_refresh(&spent, &replacement, now_ms, end_ms),
        move |rotated, _, ctx| {
            let user = match rotated {
                Ok(Rotation::Rotated(user)) => user,
                Ok(Rotation::Expired) => return Err(refused("refresh token expired")),
                Ok(Rotation::Revoked) => return Err(refused("refresh token revoked")),
                Err(StoreError::NotFound) => return Err(refused("invalid refresh token")),
                Err(error) => return Err(error.into()),
            };
            let pair = pair(&user, &next, ctx);
            ctx.reply(api::Reply::Tokens(Reply::Refreshed(pair)));
            Ok(())
        },
    );
    Ok(())
}

/// The answer is the same whether there was such a token or not.
fn revoke(presented: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    const REVOKED: api::Reply = api::Reply::Done("Refresh token revoked successfully");
    let Some(token) = Plain::parse(&presented) else {
        ctx.reply(REVOKED);
        return Ok(());
    };
    let (family, now_ms) = (token.key().family, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| store.revoke_refresh(&family, now_ms),
        |revoked, _, ctx| {
            revoked?;
            ctx.reply(REVOKED);
            Ok(())
        },
    );
    Ok(())
}

fn pair(user: &User, refresh: &Plain, ctx: &mut Ctx<'_>) -> Pair {
    let access_life_s = ctx.state.settings.v2_access_s;
    Pair { access: issue(user, access_life_s, ctx), access_life_s, refresh: refresh.text() }
}

/// When a refresh token that is issued now ends.
fn end_ms(ctx: &Ctx<'_>) -> i64 {
    ctx.now.unix_ms + ctx.state.settings.v2_refresh_s * 1000
}

/// A refresh token as its client has it: random bytes that name the family, and a secret that is new
/// with each use.
struct Plain {
    family: [u8; 16],
    secret: [u8; 32],
}

impl Plain {
    /// The first token of a family.
    fn begin(state: &mut State) -> Self {
        Self { family: state.random_bytes(), secret: state.random_bytes() }
    }

    /// The token that replaces this one.
    fn next(&self, state: &mut State) -> Self {
        Self { family: self.family, secret: state.random_bytes() }
    }

    /// A token from its text, or `None` when it can't be one of ours.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes().as_chunks::<2>();
        let (pairs, []) = digits else { return None };
        let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let (family, secret) = pairs.split_at_checked(16)?;
        if secret.len() != 32 {
            return None;
        }
        let mut plain = Self { family: [0; 16], secret: [0; 32] };
        for (to, from) in plain.family.iter_mut().chain(&mut plain.secret).zip(family.iter().chain(secret)) {
            *to = byte(from)?;
        }
        Some(plain)
    }

    /// The token as its client gets it.
    fn text(&self) -> String {
        self.family.iter().chain(&self.secret).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is kept of it.
    fn key(&self) -> RefreshKey {
        RefreshKey { family: hash(&self.family), token: hash(&self.secret) }
    }
}

/// SHA-256 is enough where what is hashed is random: there is nothing to guess slowly.
fn hash(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// What whoever can't log in is told, whatever is wrong.
const BAD_CREDENTIALS: &str = "invalid credentials";

#[cfg(test)]
mod tests {
    use super::*;

    /// A token is read as it was written, and nothing else is one.
    #[test]
    fn tokens_are_read_as_written() {
        let token = Plain { family: [0xab; 16], secret: [7; 32] };
        let text = token.text();
        assert_eq!(text.len(), 96);
        assert_eq!(Plain::parse(&text).unwrap().key(), token.key());
        let long = format!("{text}00");
        let signed = text.replace("07", "+7");
        let wide = "é".repeat(48);
        for bad in ["", "a", &text[1..], &text[2..], &long, &signed, &wide, "0b0e9a3c-57a8-4c4e-8e0b-0d5c3c1f2a11"] {
            assert!(Plain::parse(bad).is_none(), "{bad}");
        }
    }

    /// What is kept tells neither the token nor, by its family, the next one.
    #[test]
    fn only_hashes_are_kept() {
        let token = Plain { family: [1; 16], secret: [2; 32] };
        let replaced = Plain { family: [1; 16], secret: [3; 32] };
        assert_eq!(token.key().family, replaced.key().family);
        assert_ne!(token.key().token, replaced.key().token);
        assert_ne!(token.key().token, [2; 32]);
    }
}
