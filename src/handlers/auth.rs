//! Accounts: registering, logging in, passwords, and the first message of a sync session.
//!
//! Passwords are hashed and compared in the slow lane only. An unknown user costs as much time as a
//! wrong password, and failures make the next attempt wait, by address and account, never for long.

use super::api::{ApiError, ErrorKind, Reply};
use super::effect::{CloseReason, Lane};
use super::session::{Device, Session};
use super::token::Claims;
use super::{Access, Call, Caller, Ctx};
use crate::store::StoreError;
use crate::store::model::{Role, User, UserId};

/// Makes an account.
pub const REGISTER: Call<Register> =
    Call { name: "auth.register", access: Access::Public, lane: Lane::Slow, run: register };
/// Gives a token for a password.
pub const LOGIN: Call<Login> = Call { name: "auth.login", access: Access::Public, lane: Lane::Slow, run: login };
/// Shows the caller's account.
pub const ME: Call<()> = Call { name: "auth.me", access: Access::User, lane: Lane::Read, run: me };
/// Changes the caller's password, and voids every token there is.
pub const CHANGE_PASSWORD: Call<ChangePassword> =
    Call { name: "auth.change_password", access: Access::User, lane: Lane::Slow, run: change_password };
/// Voids every token of the caller.
pub const LOGOUT_ALL: Call<()> =
    Call { name: "auth.logout_all", access: Access::User, lane: Lane::Write, run: logout_all };
/// Begins a sync session.
pub const AUTHENTICATE: Call<Authenticate> =
    Call { name: "sync.auth", access: Access::Public, lane: Lane::Reactor, run: authenticate };

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

/// The old password and the new one.
#[derive(Debug)]
pub struct ChangePassword {
    /// To show that it is the owner who asks.
    pub current: String,
    /// Checked for length.
    pub new: String,
}

/// The first message of a sync session.
#[derive(Debug)]
pub struct Authenticate {
    /// As the client got it from a login.
    pub token: String,
    /// The name the device gave itself.
    pub device: Option<String>,
}

/// What a password must be.
#[derive(Debug, Clone, Copy)]
pub struct PasswordRule {
    /// The fewest characters.
    pub characters_min: usize,
}

impl PasswordRule {
    /// For the first family's registration: its clients allow six.
    pub const V1: PasswordRule = PasswordRule { characters_min: 6 };
    /// For everything newer.
    pub const STANDARD: PasswordRule = PasswordRule { characters_min: 8 };

    /// The password, if it is one. bcrypt reads 72 bytes and stops at a NUL; more would be cut
    /// without a word, so it is refused.
    pub fn check(self, password: String) -> Result<String, ApiError> {
        if password.chars().count() < self.characters_min {
            return Err(ApiError::invalid(format!("password: at least {} characters", self.characters_min)));
        }
        if password.len() > 72 || password.contains('\0') {
            return Err(ApiError::invalid("password: at most 72 bytes, and no NUL"));
        }
        Ok(password)
    }
}

/// The name, if it can be one: so many characters, letters and digits of any script, `_`, `-`, `.`
/// and single inner spaces. `@` is for e-mail addresses, and what can't be seen can't deceive.
pub fn check_username(name: String, characters_max: usize) -> Result<String, ApiError> {
    let length = name.chars().count();
    if !(3..=characters_max).contains(&length) {
        return Err(ApiError::invalid(format!("username: 3 to {characters_max} characters")));
    }
    let plain = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    if !name.chars().all(plain) || name.trim() != name || name.contains("  ") {
        return Err(ApiError::invalid("username: letters, digits, '_', '-', '.' and single spaces inside"));
    }
    Ok(name)
}

/// The address, if it looks like one. Only a message to it could tell more.
pub fn check_email(email: String) -> Result<String, ApiError> {
    let plain = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let parts = email.split_once('@').filter(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.contains('@')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
    });
    if email.len() > 254 || !plain || parts.is_none() {
        return Err(ApiError::invalid("email: not an e-mail address"));
    }
    Ok(email)
}

fn register(args: Register, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
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
                        StoreError::Conflict => ApiError::new(ErrorKind::Conflict, "username or email already exists"),
                        other => other.into(),
                    })?;
                    let token = issue(&user, ctx);
                    ctx.reply(Reply::Registered(Box::new(user), token));
                    Ok(())
                },
            );
            Ok(())
        },
    );
    Ok(())
}

fn login(args: Login, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let address = ctx.peer.ip();
    let account = (address, args.login.to_lowercase());
    let now_ms = ctx.now.mono_ms;
    let pauses = [ctx.state.login_pauses.check(&account, now_ms), ctx.state.address_pauses.check(&address, now_ms)];
    if let Some(seconds) = pauses.into_iter().filter_map(Result::err).max() {
        return Err(ApiError::new(ErrorKind::RateLimited, "Too many failed logins, please wait").after(seconds));
    }
    // Counted before it is compared, so that guesses made all at once don't all count as the first.
    ctx.state.login_pauses.failed(account.clone(), now_ms);
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
            let Some(user) = compared? else {
                ctx.state.address_pauses.failed(address, ctx.now.mono_ms);
                return Err(ApiError::new(ErrorKind::Unauthorized, "Invalid username or password"));
            };
            ctx.state.login_pauses.succeeded(&account);
            let token = issue(&user, ctx);
            ctx.reply(Reply::LoggedIn(Box::new(user), token));
            Ok(())
        },
    );
    Ok(())
}

fn me(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let Caller { id, .. } = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.user(&id),
        |user, _, ctx| {
            let user = user.map_err(|error| match error {
                StoreError::NotFound => ApiError::new(ErrorKind::Unauthorized, "This account no longer exists"),
                other => other.into(),
            })?;
            ctx.reply(Reply::Account(Box::new(user)));
            Ok(())
        },
    );
    Ok(())
}

fn change_password(args: ChangePassword, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let account = (ctx.peer.ip(), caller.id.to_string());
    if let Err(seconds) = ctx.state.login_pauses.check(&account, ctx.now.mono_ms) {
        return Err(ApiError::new(ErrorKind::RateLimited, "Too many failed attempts, please wait").after(seconds));
    }
    let cost = ctx.state.settings.bcrypt_cost;
    let id = caller.id.clone();
    ctx.run(
        Lane::Slow,
        move |store| {
            let user = store.user(&id)?;
            match compare(Some(user), &args.current, cost)? {
                None => Ok(None),
                Some(_) => hash(&args.new, cost).map(Some),
            }
        },
        move |hashed, _, ctx| {
            let Some(hash) = hashed? else {
                ctx.state.login_pauses.failed(account, ctx.now.mono_ms);
                return Err(ApiError::new(ErrorKind::Forbidden, "The current password is wrong"));
            };
            let (id, valid_from) = (caller.id.clone(), next_valid_from(&caller.id, ctx));
            ctx.run(
                Lane::Write,
                move |store| store.set_password(&id, &hash, valid_from),
                move |stored, _, ctx| {
                    stored?;
                    ctx.revoke(&caller.id, valid_from);
                    ctx.reply(Reply::Done("Password changed; please log in again on every device"));
                    Ok(())
                },
            );
            Ok(())
        },
    );
    Ok(())
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

fn authenticate(args: Authenticate, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let claims = check_token(&args.token, ctx)?;
    if claims.issued_at.is_some() {
        return welcome(&claims, args.device, session, ctx);
    }
    // Made by a tool and not by us: the user must exist, and never have logged out everywhere.
    let id = claims.user_id.clone();
    ctx.run(
        Lane::Read,
        move |store| store.user(&id),
        move |user, session, ctx| match user {
            Ok(user) if user.valid_from == 0 => {
                // Such a token proves who it is for, and nothing else it says.
                let claims = Claims { username: user.username, role: user.role, ..claims };
                welcome(&claims, args.device, session, ctx)
            }
            Ok(_) | Err(StoreError::NotFound) => Err(bad_token()),
            Err(error) => Err(error.into()),
        },
    );
    Ok(())
}

fn welcome(claims: &Claims, device: Option<String>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let most = ctx.state.settings.connections_per_user;
    let Some(member) = ctx.state.members.enter(&claims.user_id, &claims.username, claims.role, most) else {
        return Err(ApiError::new(
            ErrorKind::RateLimited,
            format!("Too many connections for this user (at most {most})"),
        ));
    };
    session.member = Some(member);
    session.device = device.map(|name| Box::new(Device(name)));
    let session_id = ctx.state.fresh_id();
    let username =
        ctx.state.members.get(member).map_or_else(|| claims.username.as_str().into(), |m| m.username.clone());
    ctx.reply(Reply::Welcome { session_id, user_id: claims.user_id.clone(), username });
    ctx.join();
    Ok(())
}

/// The claims of a token that counts now.
pub fn check_token(token: &str, ctx: &Ctx<'_>) -> Result<Claims, ApiError> {
    let claims = ctx.state.keys.check(token, ctx.now_s()).map_err(|_| bad_token())?;
    match ctx.state.revocations.allow(&claims.user_id, claims.issued_at) {
        true => Ok(claims),
        false => Err(bad_token()),
    }
}

fn bad_token() -> ApiError {
    ApiError::new(ErrorKind::Unauthorized, "Invalid or expired token")
}

/// Why a sync session that failed to begin is closed.
pub const fn close_reason(kind: ErrorKind) -> CloseReason {
    match kind {
        ErrorKind::RateLimited => CloseReason::TooMany,
        ErrorKind::Unavailable | ErrorKind::Internal => CloseReason::Internal,
        _ => CloseReason::AuthFailed,
    }
}

/// From when a user's tokens count, once those there are become void. Tokens carry whole seconds, so it
/// is the next one: a token issued in this second must not survive, and one issued right after is dated
/// to it. Twice in a second, it is the one after that.
fn next_valid_from(user: &UserId, ctx: &Ctx<'_>) -> i64 {
    let known = ctx.state.revocations.valid_from(user).unwrap_or(0);
    (ctx.now_s() + 1).max(known + 1)
}

/// A token for the first family's clients.
fn issue(user: &User, ctx: &mut Ctx<'_>) -> String {
    let id = ctx.state.fresh_id();
    // From here on it is known who asked, for the log.
    ctx.origin.user = Some(user.username.as_str().into());
    // Right after a revocation the token is dated to when it counts again.
    let issued_s = ctx.now_s().max(user.valid_from);
    ctx.state.keys.issue(user, issued_s, ctx.state.settings.v1_token_s, id)
}

/// The bcrypt hash of a password. Slow on purpose.
pub fn hash(password: &str, cost: u32) -> Result<String, StoreError> {
    bcrypt::hash(password, cost).map_err(|_| StoreError::Unavailable)
}

/// The user, if the password is theirs. Without a user it takes the same time to say no.
fn compare(user: Option<User>, password: &str, cost: u32) -> Result<Option<User>, StoreError> {
    // bcrypt would read the first 72 bytes, or up to a NUL, and call that the same.
    let whole = password.len() <= 72 && !password.contains('\0');
    let Some(user) = user.filter(|_| whole) else {
        hash(password.get(..72.min(password.len())).unwrap_or(""), cost)?;
        return Ok(None);
    };
    let same = bcrypt::verify(password, &user.password_hash).map_err(|_| StoreError::Corrupt)?;
    Ok(same.then_some(user))
}

/// The pauses after failed logins forget what is long past.
pub fn sweep(ctx: &mut Ctx<'_>) {
    let now_ms = ctx.now.mono_ms;
    ctx.state.login_pauses.sweep(now_ms);
    ctx.state.address_pauses.sweep(now_ms);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are what a person can read and no more.
    #[test]
    fn usernames_can_be_read() {
        for good in ["abc", "Åsa Öberg", "読者です", "a.b-c_d"] {
            assert!(check_username(good.into(), 32).is_ok(), "{good}");
        }
        for bad in ["ab", "a@b.c", " abc", "abc ", "a  b", "a\nb", "a\u{202e}bc", "abc\0", &"a".repeat(33)] {
            assert!(check_username(bad.into(), 32).is_err(), "{bad:?}");
        }
    }

    /// An address has one @ with something sensible on both sides.
    #[test]
    fn emails_look_like_emails() {
        assert!(check_email("a@b.example".into()).is_ok());
        for bad in ["", "a", "@b.c", "a@b", "a@b@c.d", "a b@c.d", "a@.b", "a@b.", "a\n@b.c"] {
            assert!(check_email(bad.into()).is_err(), "{bad:?}");
        }
    }

    /// Passwords that bcrypt would cut are refused, and so are short ones, by characters.
    #[test]
    fn passwords_are_never_cut() {
        assert!(PasswordRule::V1.check("bob123".into()).is_ok());
        assert!(PasswordRule::STANDARD.check("bob1234".into()).is_err());
        assert!(PasswordRule::STANDARD.check("éééééééé".into()).is_ok());
        assert!(PasswordRule::STANDARD.check("x".repeat(73)).is_err());
        assert!(PasswordRule::STANDARD.check("1234567\0".into()).is_err());
    }

    /// The right password finds the user, a wrong one and no user find nobody.
    #[test]
    fn comparing_says_yes_only_to_the_password() {
        let user = User {
            id: UserId::parse("a").unwrap(),
            username: "a".into(),
            email: "a@b.c".into(),
            password_hash: hash("secret-one", 4).unwrap(),
            role: Role::User,
            valid_from: 0,
            created_at: 0,
        };
        assert!(compare(Some(user.clone()), "secret-one", 4).unwrap().is_some());
        assert!(compare(Some(user), "secret-two", 4).unwrap().is_none());
        assert!(compare(None, "secret-one", 4).unwrap().is_none());
    }
}
