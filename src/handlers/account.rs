//! Accounts: what a name and an address must be, showing one, and leaving for good.
//!
//! Leaving is two steps. At once, in one job: the tokens become void, the name is free again, nobody can
//! log in. Then everything else goes, in jobs so small that no reader waits for them ([`Erasing`]); should
//! the server end in between, the next one goes on.

use super::api::{ApiError, Reply};
use super::effect::{Effect, Lane};
use super::password::{ask_again, or_outdated};
use super::session::Session;
use super::work::Work;
use super::{Access, Call, Caller, Ctx, auth, names};
use crate::store::{ERASED_ROWS_MAX, StoreError};

/// Shows the caller's account.
pub const ME: Call<()> = Call { name: "auth.me", access: Access::User, lane: Lane::Read, run: me };
/// Deletes the caller's account. It takes the password: a token may have been left on a device.
pub const DELETE: Call<String> = Call { name: "account.delete", access: Access::User, lane: Lane::Slow, run: delete };

/// The name, if it can be one: so many characters, letters and digits of any script, `_`, `-`, `.`
/// and single inner spaces. `@` is for e-mail addresses, and what can't be seen can't deceive. Letters are in
/// their plain form, and the server's own names are its own.
pub fn check_username(name: String, characters_max: usize) -> Result<String, ApiError> {
    let length = name.chars().count();
    if !(3..=characters_max).contains(&length) {
        return Err(ApiError::invalid(format!("username: 3 to {characters_max} characters")));
    }
    let plain = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    if !name.chars().all(plain) || name.trim() != name || name.contains("  ") {
        return Err(ApiError::invalid("username: letters, digits, '_', '-', '.' and single spaces inside"));
    }
    if names::seen(&name) != name {
        return Err(ApiError::invalid("username: letters in their plain form"));
    }
    if names::is_reserved(&name) {
        return Err(ApiError::invalid("username: reserved"));
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

fn me(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let Caller { id, .. } = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.user(&id),
        |user, _, ctx| {
            let user = user.map_err(|error| match error {
                StoreError::NotFound => auth::no_account(),
                other => other.into(),
            })?;
            ctx.reply(Reply::Account(Box::new(user)));
            Ok(())
        },
    );
    Ok(())
}

fn delete(password: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ask_again(
        password,
        "The password is wrong",
        || Ok(()),
        ctx,
        |user, (), ctx| {
            let (id, voiding) = (user.id.clone(), auth::voiding(&user, ctx));
            let oldest_s = ctx.now_s() - ctx.state.settings.token_s_max;
            ctx.run(
                Lane::Write,
                move |store| store.delete_user(&id, voiding, oldest_s),
                move |deleted, _, ctx| {
                    deleted.map_err(or_outdated)?;
                    ctx.revoke(&user.id, voiding.valid_from);
                    ctx.state.erasing.due = true;
                    ctx.reply(Reply::Done("Account deleted"));
                    Ok(())
                },
            );
            Ok(())
        },
    )
}

/// What is left of deleted users, and when it was last worked on. One job follows the other until
/// nothing is left; each is a turn of the writer like anybody's.
#[derive(Debug)]
pub struct Erasing {
    /// There may be something left.
    pub due: bool,
    /// When the job that is outstanding was given to the writer, in milliseconds of the turn's clock.
    given_ms: Option<u64>,
}

impl Default for Erasing {
    /// At the start there may be what the server before this one left.
    fn default() -> Self {
        Self { due: true, given_ms: None }
    }
}

/// Once a second: begins to erase where something is left, or goes on where it failed.
pub(super) fn erase_if_due(ctx: &mut Ctx<'_>) {
    let Erasing { due, given_ms } = ctx.state.erasing;
    let outstanding = given_ms.is_some_and(|given_ms| ctx.now.mono_ms < given_ms + JOB_MS_MAX);
    if due && !outstanding && !ctx.state.draining {
        erase(ctx);
    }
}

fn erase(ctx: &mut Ctx<'_>) {
    ctx.state.erasing.given_ms = Some(ctx.now.mono_ms);
    let job = Work::new(
        ctx.origin.clone(),
        |store| store.erase_deleted(ERASED_ROWS_MAX),
        |left, _, ctx| {
            ctx.state.erasing.given_ms = None;
            if let Ok(true) = left {
                // Ratings may have gone, of any series.
                ctx.state.catalogue.forget_all_details();
            }
            match left {
                Ok(true) if !ctx.state.draining => erase(ctx),
                Ok(left) => ctx.state.erasing.due = left,
                // The next second tries again.
                Err(_) => {}
            }
            Ok(())
        },
    );
    ctx.effects.push(Effect::Submit(Lane::Write, job));
}

/// A job that is not back after so long found no room in its lane: no wait for the writer is longer.
const JOB_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are what a person can read and no more.
    #[test]
    fn usernames_can_be_read() {
        for good in ["abc", "Åsa Öberg", "読者です", "a.b-c_d"] {
            assert!(check_username(good.into(), 32).is_ok(), "{good}");
        }
        for reserved in
            ["System_Admin", "system", "Anonymous", "SYSTEM ADMIN", "sÿstem", "ａｎｎａ", "ﬁona", "abc\u{3164}"]
        {
            assert!(check_username(reserved.into(), 32).is_err(), "{reserved:?}");
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
}
