//! A request, step by step: let in, found, read, run. Its answer is `answer.rs`.
//!
//! Browsers are strangers even on this machine: a page from anywhere can make one send requests to
//! a loopback address. So the host that a request names must be ours (else 421, which stops DNS
//! rebinding), only listed origins may read answers, and the internal listener hears no browser.

use std::borrow::Cow;
use std::net::IpAddr;

use smallvec::SmallVec;

use super::MangaHub;
use crate::handlers::api::{ApiError, ErrorKind, Lack, Reply, Via};
use crate::handlers::session::{ServiceKind, Session};
use crate::handlers::token::Claims;
use crate::handlers::{Access, Caller, Ctx, Settings, auth, scope, text};
use crate::proto::http1::{Method, Request, Version};
use crate::proto::routes::{self, Found, Input, Match, Route};
use crate::proto::v2;
use crate::reactor::service::{Flow, Io};
use crate::store::model::Role;

impl MangaHub {
    /// Handles a request.
    pub(super) fn request(&mut self, request: &Request<'_>, session: &mut Session, io: &mut Io<'_, Self>) -> Flow {
        session.cors = self.origin(request, session.service);
        let via = if v2::owns(request.path) { Via::NONE_V2 } else { Via::NONE };
        let mut ctx = self.context(via, io);
        let served = let_in(request, session.service, &ctx.state.settings)
            .and_then(|()| find(request, session.service))
            .and_then(|target| serve(request, target, session, &mut ctx));
        if let Err(error) = served {
            ctx.refuse(error);
        }
        Flow::Handled
    }

    /// Which of the operator's origins the request's page is from, counted from 1; 0 for none.
    fn origin(&self, request: &Request<'_>, service: ServiceKind) -> u8 {
        let Some(origin) = request.header("origin").filter(|_| service == ServiceKind::Http) else { return 0 };
        let allowed = &self.state.settings.cors_origins;
        let place = allowed.iter().position(|other| other == "*" || other.eq_ignore_ascii_case(origin));
        place.and_then(|place| u8::try_from(place + 1).ok()).filter(|place| *place != Session::ENDING).unwrap_or(0)
    }
}

/// Whether somebody who sends such a request may ask at all.
fn let_in(request: &Request<'_>, service: ServiceKind, settings: &Settings) -> Result<(), ApiError> {
    // No browser speaks HTTP/1.0; a health checker that does may leave the host out.
    let unnamed = request.version == Version::Http10 && request.host.is_empty();
    if !unnamed && !is_our_host(request.host, &settings.hosts) {
        return Err(ApiError::new(ErrorKind::Misdirected, "This server does not serve that host"));
    }
    match service {
        ServiceKind::Internal => may_operate(request, settings.internal_token.as_deref()),
        _ => Ok(()),
    }
}

/// Whether somebody who sends such a request may speak to the operator's listener, whatever the path:
/// no page, only who knows the token if there is one, and who changes something says it in JSON.
fn may_operate(request: &Request<'_>, token: Option<&str>) -> Result<(), ApiError> {
    if request.has_header("origin") || request.has_header("sec-fetch-site") {
        return Err(ApiError::new(ErrorKind::Forbidden, "Browsers are not served here"));
    }
    let given = request.bearer().unwrap_or("");
    match token {
        Some(token) if !same(token.as_bytes(), given.as_bytes()) => {
            Err(ApiError::new(ErrorKind::Unauthorized, "The internal token is required"))
        }
        // A page's form can post anything to anywhere, except as JSON.
        _ if request.method == Method::Post && !is_json(request) => {
            Err(ApiError::new(ErrorKind::MediaType, "Content-Type: expected application/json"))
        }
        _ => Ok(()),
    }
}

/// Whether the request says that its body is JSON.
fn is_json(request: &Request<'_>) -> bool {
    let media_type = request.header("content-type").and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

/// Whether a `Host` names this server: a loopback name, any address, or one that the operator lists.
/// A page can only make a browser name the host it was itself loaded from, so an address is safe.
fn is_our_host(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    let local = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    let listed = |other: &String| other.eq_ignore_ascii_case(name) || other.eq_ignore_ascii_case(host);
    local || name.parse::<IpAddr>().is_ok() || hosts.iter().any(listed)
}

/// Compares secrets in a time that tells nothing of where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Where a request leads.
enum Target<'a> {
    Route(Found, SmallVec<[Cow<'a, str>; 2]>),
    Options(String),
}

fn find<'a>(request: &Request<'a>, service: ServiceKind) -> Result<Target<'a>, ApiError> {
    if request.method == Method::Options && request.target == "*" {
        return Ok(Target::Options("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".into()));
    }
    let segments = request.segments().map_err(|error| ApiError::new(ErrorKind::Framing(error.status), error.what))?;
    match routes::find_http(request.method, &segments, service == ServiceKind::Internal) {
        Match::Found(found, params) => Ok(Target::Route(found, params)),
        Match::OtherMethods(methods) if request.method == Method::Options => Ok(Target::Options(methods)),
        Match::OtherMethods(methods) => Err(ApiError {
            detail: Some(methods),
            ..ApiError::new(ErrorKind::MethodNotAllowed, "This path does not take this method")
        }),
        Match::Nothing => Err(ApiError::not_found("There is nothing at this path")),
    }
}

fn serve(request: &Request<'_>, target: Target<'_>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let ((via, route), params) = match target {
        Target::Route(found, params) => (found, params),
        Target::Options(methods) => {
            ctx.reply(Reply::Allowed(methods));
            return Ok(());
        }
    };
    ctx.origin.via = via;
    ctx.state.counts.call(usize::from(via.0));
    ctx.device = request.header("x-device").and_then(text::device);
    let claims = authenticate(request, route, ctx)?;
    let changes = !matches!(request.method, Method::Get | Method::Head | Method::Options);
    match claims {
        // The token of some tool: what its user may do is looked up with the user.
        Some(claims) if claims.issued_at.is_none() => {
            let call = route.prepare(&Input::Http(request, &params))?;
            let [.., bad_token] = route.family.unauthorized();
            let refused = ApiError::new(ErrorKind::Unauthorized, bad_token);
            auth::look_up(claims, refused, ctx, move |claims, session, ctx| {
                authorize(&claims, route.access)?;
                admit(Caller::from(claims), changes, ctx)?;
                call(session, ctx)
            });
            Ok(())
        }
        claims => {
            if let Some(claims) = claims {
                authorize(&claims, route.access)?;
                admit(Caller::from(claims), changes, ctx)?;
            }
            route.run(&Input::Http(request, &params), session, ctx)
        }
    }
}

/// Notes who asks. Whoever asks for a change pays for it as for a message: many are told of it, and all of
/// them wait for the one writer.
fn admit(caller: Caller, changes: bool, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let spent = match changes {
        true => ctx.state.members.spend_of(&caller, ctx.state.settings.messages, ctx.now.mono_ms),
        false => Ok(()),
    };
    ctx.set_caller(Some(caller));
    spent.map_err(ApiError::too_often)
}

/// The claims of the request's token, where the route needs one or makes a difference for one.
fn authenticate(request: &Request<'_>, route: &Route, ctx: &Ctx<'_>) -> Result<Option<Claims>, ApiError> {
    if route.access == Access::Public {
        return Ok(None);
    }
    let [no_header, bad_header, bad_token] = route.family.unauthorized();
    let unauthorized = |message| ApiError::new(ErrorKind::Unauthorized, message);
    let token = match (request.bearer(), request.has_header("authorization")) {
        (Some(token), _) => token,
        (None, false) if route.access == Access::Guest => return Ok(None),
        (None, false) => return Err(unauthorized(no_header)),
        (None, true) => return Err(unauthorized(bad_header)),
    };
    auth::check_token(token, ctx).map(Some).map_err(|_| unauthorized(bad_token))
}

/// Whether a token is enough for a route.
pub(super) fn authorize(claims: &Claims, access: Access) -> Result<(), ApiError> {
    let (role, own) = (claims.role, claims.scopes.as_deref());
    let (message, lack) = match access {
        Access::Admin if role != Role::Admin || !scope::allows(role, own, "admin:*") => {
            ("Only an administrator may do this", Lack::Role(role))
        }
        Access::Scope(required) if !scope::allows(role, own, required) => {
            ("Insufficient scopes", Lack::Scopes { required, granted: scope::granted(role, own) })
        }
        _ => return Ok(()),
    };
    Err(ApiError { lack: Some(Box::new(lack)), ..ApiError::new(ErrorKind::Forbidden, message) })
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        Self { id: claims.user_id, username: claims.username.into(), role: claims.role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::buffer::RecvBuf;
    use crate::proto::http1::{Decoded, Http1, HttpLimits};
    use std::sync::Arc;

    /// What the operator's listener answers to such a request, before it is looked at.
    fn operates(request: &str, token: Option<&str>) -> Option<ErrorKind> {
        let mut rx = RecvBuf::new();
        rx.append(request.replace('\n', "\r\n").as_bytes());
        let mut codec = Http1::new(Arc::new(HttpLimits::default()));
        match codec.decode(&mut rx, false) {
            Ok(Decoded::Request(request)) => may_operate(&request, token).err().map(|error| error.kind),
            _ => panic!("not a request"),
        }
    }

    /// The operator's listener hears no page: neither one that says so, nor one whose form posts. What
    /// is posted there has to be JSON, on every path, once the token has been looked at.
    #[test]
    fn only_operators_operate() {
        let get = "GET /varz HTTP/1.1\nHost: localhost\n";
        let post = "POST /anything HTTP/1.1\nHost: localhost\nContent-Length: 0\n";
        assert_eq!(operates(&format!("{get}\n"), None), None);
        for page in ["Origin: http://localhost", "Sec-Fetch-Site: none"] {
            assert_eq!(operates(&format!("{get}{page}\n\n"), None), Some(ErrorKind::Forbidden), "{page}");
        }
        for json in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(operates(&format!("{post}Content-Type: {json}\n\n"), None), None, "{json}");
        }
        for other in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
        {
            let refused = operates(&format!("{post}Content-Type: {other}\n\n"), None);
            assert_eq!(refused, Some(ErrorKind::MediaType), "{other}");
        }
        assert_eq!(operates(&format!("{post}\n"), None), Some(ErrorKind::MediaType));
        assert_eq!(operates(&format!("{post}\n"), Some("secret")), Some(ErrorKind::Unauthorized));
        let authorised = format!("{post}Authorization: Bearer secret\nContent-Type: application/json\n\n");
        assert_eq!(operates(&authorised, Some("secret")), None);
    }

    /// A role opens its routes, and a token's own scopes close some of them again, an administrator's too.
    #[test]
    fn scopes_open_routes() {
        let claims = |role, scopes: Option<&[&str]>| Claims {
            user_id: crate::store::model::UserId::parse("a").unwrap(),
            username: "a".into(),
            role,
            scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            issued_at: None,
        };
        let write = Access::Scope("write:manga");
        assert_eq!(authorize(&claims(Role::User, Some(&[])), Access::User), Ok(()));
        assert_eq!(authorize(&claims(Role::Admin, None), Access::Admin), Ok(()));
        assert_eq!(authorize(&claims(Role::Admin, None), write), Ok(()));
        let refused = |claims: Claims, access| {
            let error = authorize(&claims, access).unwrap_err();
            (error.message.into_owned(), *error.lack.unwrap())
        };
        let lacks = |granted: &[&str]| {
            let granted = granted.iter().map(|scope| (*scope).to_owned()).collect();
            ("Insufficient scopes".to_owned(), Lack::Scopes { required: "write:manga", granted })
        };
        assert_eq!(refused(claims(Role::User, None), write), lacks(scope::of(Role::User)));
        assert_eq!(refused(claims(Role::User, Some(&["write:manga", "read:manga"])), write), lacks(&["read:manga"]));
        assert_eq!(refused(claims(Role::Admin, Some(&["read:manga"])), write), lacks(&["read:manga"]));
        let role = |role| ("Only an administrator may do this".to_owned(), Lack::Role(role));
        assert_eq!(refused(claims(Role::User, Some(&["admin:*"])), Access::Admin), role(Role::User));
        assert_eq!(refused(claims(Role::Admin, Some(&["read:*"])), Access::Admin), role(Role::Admin));
    }

    /// Loopback names, addresses and listed hosts are ours; any other name could be a trap.
    #[test]
    fn only_our_hosts_are_served() {
        let hosts = ["manga.example".to_owned()];
        for ours in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "[::1]:80", "10.1.2.3", "manga.example:8080", "a.localhost"]
        {
            assert!(is_our_host(ours, &hosts), "{ours}");
        }
        for strange in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "manga.example.evil", ""] {
            assert!(!is_our_host(strange, &hosts), "{strange}");
        }
    }
}
