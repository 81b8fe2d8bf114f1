//! Logging in and out: an account is made, a password proves whose it is, a token is given.
//!
//! The work with passwords is in the slow lane (`password`). Failures make the next attempt wait, by
//! address and account, never for long. What the second family gives beside a token is in `refresh`.

use super::api::{ApiError, ErrorKind, Reply};
use super::effect::Lane;
use super::password::{compare, hash};
use super::session::Session;
use super::token::Claims;
use super::{Access, Call, Caller, Ctx};
use crate::store::StoreError;
use crate::store::model::{Role, User, UserId, Voiding};

/// Makes an account, and gives a token for it.
pub const REGISTER: Call<Register> =
    Call { name: "auth.register", access: Access::Public, lane: Lane::Slow, run: register };
/// Gives a token for a password.
pub const LOGIN: Call<Login> = Call { name: "auth.login", access: Access::Public, lane: Lane::Slow, run: login };
/// Voids every token of the caller.
pub const LOGOUT_ALL: Call<()> =
    Call { name: "auth.logout_all", access: Access::User, lane: Lane::Write, run: logout_all };

/// A new account, checked.
#[derive(Debug)]
pub struct Register {
    /// The name wanted.
    pub username: String,
    /// Where to reach its owner.
    pub email: String,
    /// In the clear, until it is hashed.
    pub password: String,
}

/// Credentials.
#[derive(Debug)]
pub struct Login {
    /// A name or an e-mail address.
    pub login: String,
    /// In the clear, until it is compared.
    pub password: String,
}

fn register(args: Register, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    make_account(args, "username or email already exists", ctx, |user, ctx| {
        let token = issue(&user, ctx.state.settings.v1_token_s, ctx);
        ctx.reply(Reply::Registered(Box::new(user), token));
    })
}

/// Makes an account, then goes on with it. `taken` is said when its name or address is somebody's.
pub(super) fn make_account(
    args: Register,
    taken: &'static str,
    ctx: &mut Ctx<'_>,
    then: impl FnOnce(User, &mut Ctx<'_>) + Send + 'static,
) -> Result<(), ApiError> {
    if !ctx.state.settings.registration {
        return Err(ApiError::new(ErrorKind::Forbidden, "Registration is closed on this server"));
    }
    let mut user = User {
        id: UserId::from(ctx.state.fresh_id()),
        username: args.username,
        email: args.email,
        password_hash: String::new(),
        role: Role::User,
        valid_from: 0,
        created_at: ctx.now.unix_ms,
    };
    let cost = ctx.state.settings.bcrypt_cost;
    let password = args.password;
    ctx.run(
        Lane::Slow,
        move |_| hash(&password, cost),
        move |hashed, _, ctx| {
            user.password_hash = hashed?;
            let added = user.clone();
            ctx.run(
                Lane::Write,
                move |store| store.create_user(&added),
                move |created, _, ctx| {
                    created.map_err(|error| match error {
                        StoreError::Conflict => ApiError::new(ErrorKind::Conflict, taken),
                        other => other.into(),
                    })?;
                    ctx.origin.user = Some(user.username.as_str().into());
                    then(user, ctx);
                    Ok(())
                },
            );
            Ok(())
        },
    );
    Ok(())
}

fn login(args: Login, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    prove(args, "Invalid username or password", ctx, |user, ctx| {
        let token = issue(&user, ctx.state.settings.v1_token_s, ctx);
        ctx.reply(Reply::LoggedIn(Box::new(user), token));
    })
}

/// Finds whose credentials these are, then goes on with that user. `wrong` is said when they are nobody's.
pub(super) fn prove(
    args: Login,
    wrong: &'static str,
    ctx: &mut Ctx<'_>,
    then: impl FnOnce(User, &mut Ctx<'_>) + Send + 'static,
) -> Result<(), ApiError> {
    let address = ctx.peer.ip();
    let account = (address, args.login.to_lowercase());
    let now_ms = ctx.now.mono_ms;
    let pauses = [ctx.state.login_pauses.check(&account, now_ms), ctx.state.address_pauses.check(&address, now_ms)];
    if let Some(seconds) = pauses.into_iter().filter_map(Result::err).max() {
        return Err(ApiError::new(ErrorKind::RateLimited, "Too many failed logins, please wait").after(seconds));
    }
    // Counted before it is compared, so that guesses made all at once don't all count as the first.
    let noted = ctx.state.login_pauses.failed(account.clone(), now_ms);
    let cost = ctx.state.settings.bcrypt_cost;
    let Login { login, password } = args;
    ctx.run(
        Lane::Slow,
        move |store| {
            let user = match store.user_by_login(&login) {
                Err(StoreError::NotFound) => None,
                found => Some(found?),
            };
            compare(user, &password, cost)
        },
        move |compared, _, ctx| {
            // Nothing was compared, so nobody guessed.
            let compared = compared.inspect_err(|_| ctx.state.login_pauses.take_back(&account, noted))?;
            let Some(user) = compared.filter(|user| !is_outdated(user, ctx)) else {
                ctx.state.address_pauses.failed(address, ctx.now.mono_ms);
                return Err(ApiError::new(ErrorKind::Unauthorized, wrong));
            };
            ctx.state.login_pauses.succeeded(&account);
            then(user, ctx);
            Ok(())
        },
    );
    Ok(())
}

/// Whether a user's tokens were voided after the row was read. The password that was compared may be the
/// old one then, and proves nothing any more.
pub(super) fn is_outdated(user: &User, ctx: &Ctx<'_>) -> bool {
    ctx.state.revocations.valid_from(&user.id).is_some_and(|known| known > user.valid_from)
}

fn logout_all(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let Caller { id, .. } = ctx.caller()?;
    let valid_from = next_valid_from(&id, ctx);
    let user = id.clone();
    ctx.run(
        Lane::Write,
        move |store| store.set_valid_from(&id, valid_from),
        move |stored, _, ctx| {
            stored?;
            ctx.revoke(&user, valid_from);
            ctx.reply(Reply::Done("Logged out everywhere"));
            Ok(())
        },
    );
    Ok(())
}

/// The claims of a token that counts now. One that is older than any token gets is refused whatever it
/// says of its end: revocations are remembered for that long and no longer.
pub fn check_token(token: &str, ctx: &Ctx<'_>) -> Result<Claims, ApiError> {
    let claims = ctx.state.keys.check(token, ctx.now_s()).map_err(|_| bad_token())?;
    let oldest_s = ctx.now_s() - ctx.state.settings.token_s_max;
    let remembered = claims.issued_at.is_none_or(|issued_at| issued_at >= oldest_s);
    match remembered && ctx.state.revocations.allow(&claims.user_id, claims.issued_at) {
        true => Ok(claims),
        false => Err(bad_token()),
    }
}

/// Whose a token for datagrams is, if it counts now.
pub fn check_datagram_token(token: &str, ctx: &Ctx<'_>) -> Result<Caller, ApiError> {
    let claims = ctx.state.keys.check_for_datagrams(token, ctx.now_s()).map_err(|_| bad_token())?;
    match ctx.state.revocations.allow(&claims.user_id, claims.issued_at) {
        true => Ok(Caller { id: claims.user_id, username: claims.username.into(), role: claims.role }),
        false => Err(bad_token()),
    }
}

/// Goes on for the user of a token that doesn't say when it was issued: some tool made it, so it proves who
/// it is for and nothing else it says. It counts if that user exists and nobody has voided their tokens
/// ever, before they are read or meanwhile; else it is `refused`.
pub fn look_up(
    claims: Claims,
    refused: ApiError,
    ctx: &mut Ctx<'_>,
    then: impl FnOnce(Claims, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
) {
    let id = claims.user_id.clone();
    ctx.run(
        Lane::Read,
        move |store| store.user(&id),
        move |user, session, ctx| match user {
            Ok(user) if user.valid_from == 0 && !is_outdated(&user, ctx) => {
                then(Claims { username: user.username, role: user.role, ..claims }, session, ctx)
            }
            Ok(_) | Err(StoreError::NotFound) => Err(refused),
            Err(error) => Err(error.into()),
        },
    );
}

/// The refusal of a token, whatever is wrong with it.
pub fn bad_token() -> ApiError {
    ApiError::new(ErrorKind::Unauthorized, "Invalid or expired token")
}

/// The refusal of a good token whose user has gone.
pub(super) fn no_account() -> ApiError {
    ApiError::new(ErrorKind::Unauthorized, "This account no longer exists")
}

/// From when a user's tokens count, once those there are become void. Tokens carry whole seconds, so it
/// is the next one: a token issued in this second must not survive, and one issued right after is dated
/// to it. Twice in a second, it is the one after that.
fn next_valid_from(user: &UserId, ctx: &Ctx<'_>) -> i64 {
    let known = ctx.state.revocations.valid_from(user).unwrap_or(0);
    (ctx.now_s() + 1).max(known + 1)
}

/// The same for a user who was read, as the store takes it: not if it was done already.
pub(super) fn voiding(user: &User, ctx: &Ctx<'_>) -> Voiding {
    let valid_from = next_valid_from(&user.id, ctx).max(user.valid_from + 1);
    Voiding { was: user.valid_from, valid_from }
}

/// A token that lives for so many seconds.
pub(super) fn issue(user: &User, life_s: i64, ctx: &mut Ctx<'_>) -> String {
    let id = ctx.state.fresh_id();
    // From here on it is known who asked, for the log.
    ctx.origin.user = Some(user.username.as_str().into());
    // Right after a revocation the token is dated to when it counts again.
    let issued_s = ctx.now_s().max(user.valid_from);
    ctx.state.keys.issue(user, issued_s, life_s, id)
}

/// The pauses after failed logins forget what is long past.
pub fn sweep(ctx: &mut Ctx<'_>) {
    let now_ms = ctx.now.mono_ms;
    ctx.state.login_pauses.sweep(now_ms);
    ctx.state.address_pauses.sweep(now_ms);
}
