//! The head of a stream: whether it is a call, and what it says about it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::time::Instant;

use crate::proto::grpc::status::{Code, Status, parse_timeout};

/// What this port is, for a person.
pub const ABOUT: &str = "MangaHub gRPC (HTTP/2 without TLS). Ask grpc.reflection.v1.ServerReflection what is served.\n";

/// What a call's head says.
pub struct Head {
    /// Who calls.
    pub authorization: Option<String>,
    /// From which device.
    pub device: Option<String>,
    /// Messages that come may be compressed.
    pub packed: bool,
    /// Those that go may be, as the ones that came.
    pub gzip: bool,
    /// When it is over.
    pub deadline: Instant,
    /// The caller said when.
    pub limited: bool,
}

impl Head {
    /// Reads it.
    pub fn read(headers: &HeaderMap) -> Result<Self, Status> {
        let packed = match text(headers, "grpc-encoding").unwrap_or("identity") {
            "identity" => false,
            "gzip" => true,
            _ => return Err(Status::new(Code::Unimplemented, "grpc-encoding: expected identity or gzip")),
        };
        let time = match text(headers, "grpc-timeout").map(parse_timeout) {
            None => STREAM_TIME_MAX,
            Some(Some(time)) => time,
            Some(None) => return Err(Status::new(Code::InvalidArgument, "grpc-timeout: not a time")),
        };
        Ok(Self {
            authorization: text(headers, "authorization").map(str::to_owned),
            device: text(headers, "x-device").map(str::to_owned),
            packed,
            gzip: packed && accepts_gzip(headers),
            deadline: Instant::now() + time.min(STREAM_TIME_MAX),
            limited: time < STREAM_TIME_MAX,
        })
    }

    /// When a message has to have come and a call that is answered once has to be: as its caller says, and
    /// within our own bound.
    pub fn soon(&self) -> Instant {
        self.deadline.min(Instant::now() + CALL_TIME_MAX)
    }

    /// How a stream ends whose time is over.
    pub fn over(&self) -> Status {
        match self.limited {
            true => too_late(),
            false => Status::new(Code::Unavailable, "The stream has lasted a day, please open another"),
        }
    }
}

/// How a call ends that was not answered in time.
pub fn too_late() -> Status {
    Status::new(Code::DeadlineExceeded, "The call was not answered in time")
}

/// The answer to a request that is no call.
pub fn plain<B>(request: &Request<B>) -> Option<Response<Bytes>> {
    let (status, body) = match (request.method().as_str(), request.uri().path()) {
        ("POST", _) if is_grpc(request.headers()) => return None,
        ("POST", _) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ""),
        ("GET", "/") => (StatusCode::OK, ABOUT),
        ("GET", _) => (StatusCode::NOT_FOUND, ""),
        _ => (StatusCode::METHOD_NOT_ALLOWED, ""),
    };
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    if !body.is_empty() {
        response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    }
    Some(response)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(kind) = text(headers, "content-type") else { return false };
    let kind = kind.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("application/grpc") || kind.eq_ignore_ascii_case("application/grpc+proto")
}

/// Who says nothing about it takes what it sends.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    text(headers, "grpc-accept-encoding").is_none_or(|list| list.split(',').any(|word| word.trim() == "gzip"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A call that is answered once takes no longer, whatever its caller says: its message has to arrive, no
/// job takes this long, and its answer has to be read.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// A stream lasts no longer than its caller says, or a day: whoever listens for ever comes back.
const STREAM_TIME_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> Head {
        let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        Head::read(&fields.collect()).unwrap_or_else(|status| panic!("{status:?}"))
    }

    /// A call that says nothing of its time has a stream's time; one that says more than a day has a day. Who
    /// has to read the end of it hears whose bound it was.
    #[test]
    fn a_stream_lasts_unless_its_caller_says_otherwise() {
        let lasts = |head: &Head| head.deadline.duration_since(Instant::now()).as_secs_f64();
        let (silent, long, short) =
            (head(&[]), head(&[("grpc-timeout", "99999999H")]), head(&[("grpc-timeout", "5S")]));
        assert!(lasts(&silent) > 86_000.0 && lasts(&long) > 86_000.0 && lasts(&long) <= 86_400.0);
        assert!(lasts(&short) <= 5.0 && short.soon() == short.deadline);
        assert!(silent.soon() < silent.deadline);
        let ends = [silent, long, short].map(|head| head.over().code);
        assert_eq!(ends, [Code::Unavailable, Code::Unavailable, Code::DeadlineExceeded]);
    }

    /// An answer is compressed where the question was, unless its reader says that it can't read that.
    #[test]
    fn answers_are_compressed_for_who_reads_them() {
        let gzip = ("grpc-encoding", "gzip");
        let of = |fields: &[(&'static str, &'static str)]| {
            let head = head(fields);
            (head.packed, head.gzip)
        };
        assert_eq!(of(&[]), (false, false));
        assert_eq!(of(&[("grpc-accept-encoding", "identity,gzip")]), (false, false));
        assert_eq!(of(&[gzip]), (true, true));
        assert_eq!(of(&[gzip, ("grpc-accept-encoding", "identity, deflate, gzip")]), (true, true));
        assert_eq!(of(&[gzip, ("grpc-accept-encoding", "identity")]), (true, false));
    }
}
