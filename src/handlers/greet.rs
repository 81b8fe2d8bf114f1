//! Who comes to chat: what the request for a WebSocket says about its sender, and what is made of it.
//!
//! Whoever shows a token is known by it. Through some listeners one may come under a name that nobody
//! vouches for; a registered user's is marked as a guest's. Rooms and what is said in them are `chat`'s.

use std::sync::Arc;

use super::api::{ApiError, ErrorKind, Reply, Topic};
use super::auth::{self, bad_token, check_token};
use super::effect::{Effect, Lane};
use super::session::{ServiceKind, Session};
use super::token::Claims;
use super::{Access, Call, Caller, Ctx, chat, names, text};
use crate::store::model::as_guest;

/// Makes a WebSocket of an HTTP connection.
pub const OPEN: Call<Opening> = Call { name: "ws.open", access: Access::Public, lane: Lane::Reactor, run: open };

/// A request for a WebSocket, which is one by all its signs.
#[derive(Debug)]
pub struct Opening {
    /// What proves that the request was understood.
    pub accept: String,
    /// The token that it shows.
    pub token: Option<String>,
    /// The origin of the page whose script asks; a program has none.
    pub page: Option<String>,
    /// The host that the request names.
    pub host: String,
    /// The name that whoever has no token wants to be called.
    pub username: Option<String>,
    /// The room to begin in.
    pub room: Option<String>,
    /// The series whose room to begin in.
    pub manga_id: Option<i64>,
    /// Whose client it seems to be.
    pub dialect: Dialect,
}

/// How whoever came to chat introduced themselves. It is kept with the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Who they are.
    pub who: Who,
    /// The room named in the request, as it was sent.
    pub room: Option<Box<str>>,
    /// The series named in the request, whose room is meant.
    pub manga_id: Option<i64>,
    /// Which family's client it is, as far as the request tells.
    pub family: Dialect,
}

/// Who came to chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A user: the session's member.
    Verified,
    /// Nobody knows; it is the name that they want to be called.
    Anonymous(Arc<str>),
}

/// Whose words a chat client understands. Every message has both families' members, but what is
/// said unasked differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// It named itself or a room in the request, as the first family's client does.
    V1,
    /// It showed a token and nothing else, or a series.
    V2,
}

fn open(args: Opening, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let settings = &ctx.state.settings;
    if args.page.as_deref().is_some_and(|page| !is_welcome(page, &args.host, &settings.cors_origins)) {
        return Err(ApiError::new(ErrorKind::Forbidden, "Pages from there may not connect"));
    }
    let Some(token) = &args.token else { return open_unnamed(args, session, ctx) };
    let claims = check_token(token, ctx)?;
    if claims.issued_at.is_some() {
        return admit(claims, args, session, ctx);
    }
    auth::look_up(claims, bad_token(), ctx, |claims, session, ctx| admit(claims, args, session, ctx));
    Ok(())
}

/// Whether a page may connect: one of this host's own, or one that the operator lists by its name. A
/// page is trusted with a token here, so "everyone" is nobody.
fn is_welcome(page: &str, host: &str, listed: &[String]) -> bool {
    let own = page.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    own || listed.iter().any(|origin| origin != "*" && origin.eq_ignore_ascii_case(page))
}

/// Somebody without a token: where the listener lets them in, under a name that is nobody else's.
fn open_unnamed(args: Opening, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    if !session.anonymous_chat {
        return Err(ApiError::new(ErrorKind::Unauthorized, "A token is required"));
    }
    let name = match &args.username {
        Some(name) => unverified_name(name)?,
        None => UNNAMED.to_owned(),
    };
    // Whoever comes and goes is told to many, so coming costs what saying something does.
    let rate = ctx.state.settings.messages;
    ctx.state.strangers.take(ctx.peer.ip(), rate, ctx.now.mono_ms).map_err(ApiError::too_often)?;
    let wanted = name.clone();
    ctx.run(
        Lane::Read,
        move |store| names::is_taken(&wanted, store),
        move |taken, session, ctx| match taken? {
            // The first family's client shows no token, whoever has logged in with it.
            true => begin(Who::Anonymous(as_guest(&name).into()), args, session, ctx),
            false => begin(Who::Anonymous(name.into()), args, session, ctx),
        },
    );
    Ok(())
}

/// A name that nobody vouches for, fit to be shown. It can't look like an address: then asking whose
/// it is would tell who has registered with it. Nor can it look like the server's.
fn unverified_name(name: &str) -> Result<String, ApiError> {
    let seen = names::seen(name);
    let bad = seen.contains('@') || name.chars().any(text::is_unsafe);
    if bad || seen.is_empty() || seen.chars().count() > NAME_CHARACTERS_MAX {
        let what = format!("username: 1 to {NAME_CHARACTERS_MAX} characters to be seen, and no '@'");
        return Err(ApiError::invalid(what));
    }
    match names::is_reserved(&seen) && seen != UNNAMED {
        true => Err(ApiError::invalid("username: reserved")),
        false => Ok(seen),
    }
}

/// Lets a user in.
fn admit(claims: Claims, args: Opening, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (most, rate) = (ctx.state.settings.connections_per_user, ctx.state.settings.messages);
    let caller = Caller::from(claims);
    ctx.state.members.spend_of(&caller, rate, ctx.now.mono_ms).map_err(ApiError::too_often)?;
    let Some(member) = ctx.state.members.enter(&caller.id, &caller.username, caller.role, most) else {
        return Err(ApiError::new(
            ErrorKind::RateLimited,
            format!("Too many connections for this user (at most {most})"),
        ));
    };
    session.member = Some(member);
    ctx.set_caller(Some(caller));
    begin(Who::Verified, args, session, ctx)
}

/// The answer that makes a WebSocket of the connection.
fn begin(who: Who, args: Opening, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    if ctx.state.draining {
        return Err(ApiError::new(ErrorKind::Unavailable, "The server is shutting down").after(5));
    }
    let Opening { accept, room, manga_id, dialect, .. } = args;
    session.service = ServiceKind::Ws;
    session.cors = 0;
    session.extra_mut().greeting = Some(Greeting { who, room: room.map(Into::into), manga_id, family: dialect });
    ctx.reply(Reply::Upgrade(accept));
    Ok(())
}

/// A WebSocket is open, and its session says whose it is. What is said first, is said here.
pub fn opened(session: &mut Session, ctx: &mut Ctx<'_>) {
    let counted = match session.member {
        Some(member) => {
            ctx.effects.push(Effect::Enter(Topic::Member(member)));
            &mut ctx.state.counts.websockets.0
        }
        None => &mut ctx.state.counts.websockets.1,
    };
    *counted += 1;
    if let Err(error) = chat::join::opened(session, ctx) {
        ctx.refuse(error);
    }
}

/// The same as a user's name may have.
const NAME_CHARACTERS_MAX: usize = 32;
/// Whoever does not say is called this.
const UNNAMED: &str = "anonymous";

#[cfg(test)]
mod tests {
    use super::*;

    /// A page connects to where it came from, or is listed by its name; `*` lists nobody here.
    #[test]
    fn only_own_and_listed_pages_connect() {
        let listed = ["*".to_owned(), "https://manga.example".to_owned()];
        assert!(is_welcome("http://127.0.0.1:8080", "127.0.0.1:8080", &[]));
        assert!(is_welcome("https://MANGA.example", "localhost:8080", &listed));
        for stranger in ["http://evil.example", "null", "", "http://127.0.0.1:8081", "http://manga.example", "*"] {
            assert!(!is_welcome(stranger, "127.0.0.1:8080", &listed), "{stranger}");
        }
    }

    /// A name that nobody vouches for is short and can be seen.
    #[test]
    fn unverified_names_can_be_seen() {
        assert_eq!(unverified_name(" ann lee "), Ok("ann lee".to_owned()));
        assert_eq!(unverified_name("a\u{200b}lice  b\u{feff}"), Ok("alice b".to_owned()));
        assert_eq!(unverified_name(UNNAMED), Ok(UNNAMED.to_owned()));
        for bad in ["\u{200b}", "a＠b", "System_Admin", "sys\u{ad}tem", "SYSTEM", &"ﷺ".repeat(9)] {
            assert!(unverified_name(bad).is_err(), "{bad:?}");
        }
        for bad in ["", " ", "a@b", "a\u{202e}b", "a\0", &"x".repeat(33)] {
            assert!(unverified_name(bad).is_err(), "{bad:?}");
        }
    }
}
