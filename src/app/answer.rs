//! An answer on its way out: its family's shape, whether the client has it already, whether it is
//! worth compressing, and what browsers and caches need beside it.
//!
//! Compressing takes too long for the loop, so such an answer makes a detour through the slow lane and
//! comes here again. HTTP has one job outstanding, so nothing overtakes it meanwhile.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::MangaHub;
use crate::handlers::api::{Answer, ApiError, ErrorKind, Origin, Packed, Reply, Via};
use crate::handlers::encoded::{self, Encoded};
use crate::handlers::session::{ServiceKind, Session};
use crate::handlers::work::Work;
use crate::proto::http1::{Asked, Method, Response};
use crate::proto::routes::{Family, On, ROUTES, Route};
use crate::proto::{internal, v1, v2};
use crate::store::StoreError;

/// What an answer amounts to.
pub(super) enum Dressed {
    /// A response, ready to be written.
    Ready(Response),
    /// Work that makes it smaller and then answers.
    Later(Work),
}

/// A response before it is dressed.
struct Draft {
    response: Response,
    /// Names the body, before any coding, where the client may keep it.
    tag: Option<Box<str>>,
    /// Whether another client would be sent it in another coding.
    codings: bool,
    gzip: bool,
}

impl MangaHub {
    /// An answer in its family's shape, dressed for whoever asked.
    pub(super) fn dress(&self, answer: Answer, asked: &Asked, session: &Session) -> Dressed {
        let Answer { origin, outcome } = answer;
        let outcome = match outcome {
            Ok(Reply::Packed(packed)) => return Dressed::Ready(self.finish(Draft::from(*packed), session)),
            outcome => outcome,
        };
        let route = ROUTES.get(usize::from(origin.via.0)).filter(|_| session.service == ServiceKind::Http);
        let made = made(&outcome);
        let mut draft = Draft::new(shape(outcome, family(origin.via, session)), route, made.as_deref(), asked);
        if draft.is_known(asked) {
            draft.response = Response::empty(304);
        } else if draft.codings && asked.gzip() {
            match made.as_deref().and_then(Encoded::gzip) {
                Some(gzip) => draft.pack(gzip.clone()),
                None => return Dressed::Later(pack_later(origin, draft, made)),
            }
        }
        Dressed::Ready(self.finish(draft, session))
    }

    /// Adds what browsers and caches need.
    fn finish(&self, draft: Draft, session: &Session) -> Response {
        let Draft { mut response, tag, codings, gzip } = draft;
        if gzip && response.status != 304 {
            response = response.with_header("Content-Encoding", "gzip");
        }
        if !response.has_header("Cache-Control") {
            // Whoever keeps an answer asks each time whether it still holds, so that a change is seen
            // at once; the answer to that has no body. Everything else is for this moment only.
            response = response.with_header("Cache-Control", if tag.is_some() { "no-cache" } else { "no-store" });
        }
        if let Some(tag) = tag {
            response = response.with_header("ETag", format!("\"{tag}{}\"", if gzip { GZIP_SUFFIX } else { "" }));
        }
        if session.service != ServiceKind::Http {
            return response;
        }
        let origins = &self.state.settings.cors_origins;
        // With `*` every page is answered alike, and without any origin so is every page.
        let by_origin = origins.iter().any(|origin| origin != "*");
        response = match (by_origin, codings) {
            (true, true) => response.with_header("Vary", "Origin, Accept-Encoding"),
            (true, false) => response.with_header("Vary", "Origin"),
            (false, true) => response.with_header("Vary", "Accept-Encoding"),
            (false, false) => response,
        };
        let response = response.with_header("X-Content-Type-Options", "nosniff");
        match usize::from(session.cors).checked_sub(1).and_then(|place| origins.get(place)) {
            None => response,
            Some(origin) => allow_origin(response, origin),
        }
    }
}

impl Draft {
    fn new(response: Response, route: Option<&Route>, made: Option<&Encoded>, asked: &Asked) -> Self {
        let kept = response.status == 200 && route.is_some_and(|route| route.kept);
        let tag = match (made, response.body.bytes()) {
            _ if !kept => None,
            (Some(made), _) => Some(made.tag().into()),
            (None, body) if body.len() <= TAG_BYTES_MAX => Some(encoded::tag(body).into()),
            (None, _) => None,
        };
        let codings = route.is_some_and(|route| is_worth_packing(&response, route, asked));
        Self { response, tag, codings, gzip: false }
    }

    /// Whether the client has this answer already, in either coding; `gzip` then says in which.
    fn is_known(&mut self, asked: &Asked) -> bool {
        let Some(tag) = &self.tag else { return false };
        let would_pack = self.codings && asked.gzip();
        let has = |gzip: &bool| match gzip {
            true => asked.has(&format!("{tag}{GZIP_SUFFIX}")),
            false => asked.has(tag),
        };
        let known = [would_pack, !would_pack].into_iter().find(has);
        self.gzip = known.unwrap_or(false);
        known.is_some()
    }

    fn pack(&mut self, body: Arc<[u8]>) {
        self.response.body = body.into();
        self.gzip = true;
    }
}

impl From<Packed> for Draft {
    fn from(packed: Packed) -> Self {
        let mut response = Response::new(packed.status, packed.content_type, packed.body);
        response.headers = packed.headers.into();
        Self { response, tag: packed.tag, codings: true, gzip: packed.gzip }
    }
}

/// Compresses an answer's body in the slow lane and then answers; where there is no room for that,
/// answers with the body as it is.
fn pack_later(origin: Origin, draft: Draft, made: Option<Arc<Encoded>>) -> Work {
    let Response { status, content_type, headers, body, .. } = draft.response;
    let (headers, tag, body) = (headers.into_vec(), draft.tag, body.into_shared());
    let plain = body.clone();
    Work::new(
        origin,
        move |_| gzip(&body),
        move |packed, _, ctx| {
            let gzip = packed.is_ok();
            let body = packed.unwrap_or(plain);
            if let (true, Some(made)) = (gzip, made) {
                made.keep_gzip(body.clone());
            }
            ctx.reply(Reply::Packed(Box::new(Packed { status, content_type, headers, tag, body, gzip })));
            Ok(())
        },
    )
}

/// Writing to memory does not fail; if it did, the answer would go as it is.
fn gzip(plain: &[u8]) -> Result<Arc<[u8]>, StoreError> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::default());
    let packed = encoder.write_all(plain).and_then(|()| encoder.finish());
    packed.map(Arc::from).map_err(|_| StoreError::Unavailable)
}

/// What asks for nothing (GET) and is long. Answers to anything else may hold a token beside what the
/// client sent, and their length would tell of it; they are short anyway.
fn is_worth_packing(response: &Response, route: &Route, asked: &Asked) -> bool {
    let bytes_min = if asked.identity() { PACK_BYTES_MIN } else { 1 };
    let text = ["application/json", "text/"].iter().any(|kind| response.content_type.starts_with(kind));
    matches!(route.on, On::Http(Method::Get, _))
        && response.status == 200
        && text
        && response.body.bytes().len() >= bytes_min
        && !response.has_header("Content-Encoding")
}

/// The body of an answer that was made once for many.
fn made(outcome: &Result<Reply, ApiError>) -> Option<Arc<Encoded>> {
    match outcome {
        Ok(Reply::MangaDetail(made)) => Some(made.clone()),
        Ok(Reply::Document(document)) => Some(document.body.clone()),
        _ => None,
    }
}

fn shape(outcome: Result<Reply, ApiError>, family: Family) -> Response {
    let retry_after_s = outcome.as_ref().err().map_or(0, |error| error.retry_after_s);
    let outdated = matches!(&outcome, Err(error) if error.kind == ErrorKind::UpgradeRequired);
    let response = match family {
        Family::Internal => internal::respond(outcome),
        Family::V2 => v2::show::respond(outcome),
        Family::V1 | Family::Sync | Family::Rpc(_) => v1::show::respond(outcome),
    };
    let response = match outdated {
        true => response.with_header("Upgrade", "websocket").with_header("Sec-WebSocket-Version", "13"),
        false => response,
    };
    match retry_after_s {
        0 => response,
        seconds => response.with_header("Retry-After", seconds.to_string()),
    }
}

/// Whose shape an answer has.
fn family(via: Via, session: &Session) -> Family {
    match (via, session.service) {
        (_, ServiceKind::Internal) => match ROUTES.get(usize::from(via.0)) {
            Some(route) => route.family,
            None => Family::Internal,
        },
        (Via::NONE, _) => Family::V1,
        (Via::NONE_V2, _) => Family::V2,
        (via, _) => ROUTES.get(usize::from(via.0)).map_or(Family::V1, |route| route.family),
    }
}

fn allow_origin(response: Response, origin: &str) -> Response {
    let response = [
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, Accept, Accept-Encoding, Cache-Control, If-None-Match, X-CSRF-Token, X-Device, \
             X-Requested-With",
        ),
        ("Access-Control-Expose-Headers", "Content-Length, ETag, Retry-After"),
        ("Access-Control-Max-Age", "43200"),
    ]
    .into_iter()
    .fold(response, |response, (name, value)| response.with_header(name, Cow::Borrowed(value)))
    .with_header("Access-Control-Allow-Origin", origin.to_owned());
    match origin {
        "*" => response,
        _ => response.with_header("Access-Control-Allow-Credentials", "true"),
    }
}

/// A longer body that was made for this answer alone gets no tag: naming it would hold up the loop for
/// as long as making it did, a millisecond here.
const TAG_BYTES_MAX: usize = 256 << 10;

/// Below this the head weighs more than what compressing the body saves.
const PACK_BYTES_MIN: usize = 1 << 10;

/// What the tag of a compressed body ends in: it names other bytes, so it is another tag.
const GZIP_SUFFIX: &str = "-gz";
