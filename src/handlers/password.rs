//! Passwords: what one must be, how it is kept and compared, and changing it.
//!
//! They are hashed and compared in the slow lane only. An unknown user costs as much time as a wrong
//! password. Who asks for one is another file's affair: `auth` to log in, `account` to leave.

use super::api::{ApiError, ErrorKind, Reply};
use super::effect::Lane;
use super::session::Session;
use super::{Access, Call, Ctx, auth};
use crate::store::StoreError;
use crate::store::model::User;

/// Changes the caller's password, and voids every token there is.
pub const CHANGE_PASSWORD: Call<ChangePassword> =
    Call { name: "auth.change_password", access: Access::User, lane: Lane::Slow, run: change_password };

/// The old password and the new one.
#[derive(Debug)]
pub struct ChangePassword {
    /// To show that it is the owner who asks.
    pub current: String,
    /// Checked for length.
    pub new: String,
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

fn change_password(args: ChangePassword, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let cost = ctx.state.settings.bcrypt_cost;
    let ChangePassword { current, new } = args;
    let wrong = "The current password is wrong";
    ask_again(
        current,
        wrong,
        move || hash(&new, cost),
        ctx,
        |user, hash, ctx| {
            let (id, voiding) = (user.id.clone(), auth::voiding(&user, ctx));
            ctx.run(
                Lane::Write,
                move |store| store.set_password(&id, &hash, voiding),
                move |stored, _, ctx| {
                    stored.map_err(or_outdated)?;
                    ctx.revoke(&user.id, voiding.valid_from);
                    ctx.reply(Reply::Done("Password changed; please log in again on every device"));
                    Ok(())
                },
            );
            Ok(())
        },
    )
}

/// Has the caller prove with the password that it is the owner who asks, whatever the token says. Then
/// comes `more`, still in the slow lane, and `then` on the loop, with the user as they were when it was
/// compared. Failures make the next attempt wait. What `then` writes has to fail where the tokens were
/// voided since (see [`auth::voiding`]): of two changes that overlap, one counts.
pub(super) fn ask_again<T: Send + 'static>(
    password: String,
    wrong: &'static str,
    more: impl Fn() -> Result<T, StoreError> + Send + 'static,
    ctx: &mut Ctx<'_>,
    then: impl FnOnce(User, T, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let account = (ctx.peer.ip(), caller.id.to_string());
    if let Err(seconds) = ctx.state.login_pauses.check(&account, ctx.now.mono_ms) {
        return Err(ApiError::new(ErrorKind::RateLimited, "Too many failed attempts, please wait").after(seconds));
    }
    // Counted before it is compared, as a login is.
    let noted = ctx.state.login_pauses.failed(account.clone(), ctx.now.mono_ms);
    let cost = ctx.state.settings.bcrypt_cost;
    let id = caller.id.clone();
    ctx.run(
        Lane::Slow,
        move |store| {
            let user = store.user(&id)?;
            match compare(Some(user), &password, cost)? {
                None => Ok(None),
                Some(user) => Ok(Some((user, more()?))),
            }
        },
        move |done, _, ctx| {
            let done = done.map_err(|error| {
                ctx.state.login_pauses.take_back(&account, noted);
                match error {
                    StoreError::NotFound => auth::no_account(),
                    other => other.into(),
                }
            })?;
            let Some((user, done)) = done else {
                return Err(ApiError::new(ErrorKind::Forbidden, wrong));
            };
            ctx.state.login_pauses.take_back(&account, noted);
            if auth::is_outdated(&user, ctx) {
                return Err(outdated());
            }
            // What follows a job begins without a caller.
            ctx.set_caller(Some(caller));
            then(user, done, ctx)
        },
    );
    Ok(())
}

/// The refusal of a write that came too late for the password it relies on.
pub(super) fn or_outdated(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict => outdated(),
        other => other.into(),
    }
}

fn outdated() -> ApiError {
    ApiError::new(ErrorKind::Conflict, "The account was changed meanwhile; please log in again")
}

/// The bcrypt hash of a password. Slow on purpose.
pub fn hash(password: &str, cost: u32) -> Result<String, StoreError> {
    bcrypt::hash(password, cost).map_err(|_| StoreError::Unavailable)
}

/// The user, if the password is theirs. Without a user it takes the same time to say no.
pub(super) fn compare(user: Option<User>, password: &str, cost: u32) -> Result<Option<User>, StoreError> {
    // bcrypt would read the first 72 bytes, or up to a NUL, and call that the same.
    let whole = password.len() <= 72 && !password.contains('\0');
    // Without a hash there is no password: an account that is being deleted has none.
    let Some(user) = user.filter(|user| whole && !user.password_hash.is_empty()) else {
        hash(password.get(..72.min(password.len())).unwrap_or(""), cost)?;
        return Ok(None);
    };
    let same = bcrypt::verify(password, &user.password_hash).map_err(|_| StoreError::Corrupt)?;
    Ok(same.then_some(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::{Role, UserId};

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
        assert!(compare(Some(user.clone()), "secret-two", 4).unwrap().is_none());
        assert!(compare(Some(User { password_hash: String::new(), ..user }), "", 4).unwrap().is_none());
        assert!(compare(None, "secret-one", 4).unwrap().is_none());
    }
}
