//! Datagrams: one JSON object each, in the words of two dialects.
//!
//! The first has envelopes, `{"type":"register","timestamp":…,"data":{…}}`, and answers what it can't
//! read. The second is flat, `{"type":"SUBSCRIBE","user_id":…}`, and says nothing to that. What is an
//! answer itself is never answered: two servers, or one that somebody made to speak to itself, would
//! never stop.

use std::borrow::Cow;

use serde::Serialize;

use super::json::Object;
use super::time::rfc3339;
use super::{notices, sync};
use crate::handlers::api::{ApiError, ErrorKind, Event};
use crate::handlers::leases::{Answer, Dialect, Register, Said};
use crate::handlers::text;
use crate::store::model::{Notification, UnixMillis};

/// Why a datagram is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its sender wanted to register, whose refusal has a shape of its own.
    pub registering: bool,
    /// What is wrong.
    pub error: ApiError,
}

impl Fault {
    fn registering(reason: &'static str) -> Self {
        Self { registering: true, error: ApiError::invalid(reason) }
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self { registering: false, error }
    }
}

/// The longest datagram of a dialect, in bytes: as much as its own servers ever took.
pub const fn bytes_max(dialect: Dialect) -> usize {
    match dialect {
        Dialect::V1 => 2048,
        Dialect::V2 => 4096,
    }
}

/// Reads a datagram; `None` is one that nothing is to be said to.
pub fn parse(bytes: &[u8], dialect: Dialect) -> Result<Option<Said>, Fault> {
    if bytes.len() > bytes_max(dialect) {
        return Err(ApiError::new(ErrorKind::TooLarge, "The message is too long").into());
    }
    let invalid = |_| ApiError::new(ErrorKind::InvalidMessage, "Invalid message format");
    let top = Object::parse(bytes).map_err(|_| ApiError::new(ErrorKind::InvalidMessage, "Invalid message format"))?;
    let kind = top.need_text("type").map_err(invalid)?;
    match dialect {
        Dialect::V1 => parse_v1(&kind, &top),
        Dialect::V2 => parse_v2(&kind, &top),
    }
}

fn parse_v1(kind: &str, top: &Object<'_>) -> Result<Option<Said>, Fault> {
    let data = || top.object("data").map_err(|_| ApiError::invalid("Invalid data: expected an object"));
    match kind {
        "register" => {
            let data = data().map_err(|_| Fault::registering("Invalid registration data"))?;
            read_register(&data).map(Some)
        }
        // Another's lease can't be meant: the address decides.
        "unregister" => Ok(Some(Said::Unregister)),
        "ping" => {
            let data = data()?;
            let client_time = data.raw("client_time");
            match client_time.is_some_and(|time| time.get().len() > CLIENT_TIME_BYTES_MAX) {
                true => Err(ApiError::invalid("client_time: too long").into()),
                false => Ok(Some(Said::Ping(client_time.map(ToOwned::to_owned), read_proof(&data)))),
            }
        }
        "ack" => Ok(Some(Said::Acknowledge(read_id(&data()?)?))),
        "notification" => Err(ApiError::new(ErrorKind::Forbidden, "Only the server notifies").into()),
        "error" | "pong" | "register_success" | "register_failed" | "progress" => Ok(None),
        other => {
            let other = text::shown(other, KIND_CHARACTERS_SHOWN);
            Err(ApiError::new(ErrorKind::UnknownType, format!("Unknown message type: {other}")).into())
        }
    }
}

fn parse_v2(kind: &str, top: &Object<'_>) -> Result<Option<Said>, Fault> {
    // Its answers have the types of what they answer, and a message besides.
    if top.raw("message").is_some() {
        return Ok(None);
    }
    match kind {
        "SUBSCRIBE" => read_options(top, "user_id").map(|wish| Some(Said::Register(wish))),
        "UNSUBSCRIBE" => Ok(Some(Said::Unregister)),
        "PING" => Ok(Some(Said::Ping(None, read_proof(top)))),
        "ACK" => Ok(Some(Said::Acknowledge(read_id(top)?))),
        _ => Ok(None),
    }
}

fn read_register(data: &Object<'_>) -> Result<Said, Fault> {
    let client_id = data.short_text("client_id", ID_CHARACTERS_MAX);
    let client_id = client_id.map_err(|_| Fault::registering("Invalid registration data"))?;
    let client_id = client_id.filter(|id| !id.is_empty()).ok_or(Fault::registering("Client ID is required"))?;
    let wish = read_options(data, "user_id")?;
    Ok(Said::Register(Register { client_id: client_id.into_owned(), ..wish }))
}

/// What both dialects may add: who it is and what proves it, and how it wants to hear.
fn read_options(data: &Object<'_>, user: &str) -> Result<Register, Fault> {
    let read = || -> Result<Register, ApiError> {
        let topics: Vec<Cow<'_, str>> = data.list("topics", "strings", TOPICS_MAX)?.unwrap_or_default();
        Ok(Register {
            client_id: String::new(),
            user_id: data.short_text(user, ID_CHARACTERS_MAX)?.map(Cow::into_owned),
            token: data.text("token")?.map(Cow::into_owned),
            acknowledges: data.boolean("ack")?.unwrap_or(false),
            progress: topics.iter().any(|topic| topic == "progress"),
        })
    };
    read().map_err(|_| Fault::registering("Invalid registration data"))
}

fn read_id(data: &Object<'_>) -> Result<i64, ApiError> {
    data.integer("id", 1, i64::MAX)?.ok_or_else(|| super::json::missing("id"))
}

/// What was told when registering, as it was written then. Anything else proves nothing, and a ping is
/// answered all the same.
fn read_proof(data: &Object<'_>) -> Option<u64> {
    let text = data.short_text("proof", PROOF_CHARACTERS).ok().flatten()?;
    u64::from_str_radix(&text, 16).ok()
}

fn write_proof(proof: u64) -> String {
    format!("{proof:016x}")
}

/// The first dialect's envelope.
#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    timestamp: &'a str,
    data: T,
}

/// The second dialect's answer to a subscription.
#[derive(Serialize)]
struct Flat<'a> {
    r#type: &'a str,
    manga_id: i64,
    title: &'a str,
    message: &'a str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

/// Puts what an address is answered into bytes: none, if that is nothing.
pub fn write_answer(outcome: Result<Answer, Fault>, dialect: Dialect, now: UnixMillis) -> Vec<u8> {
    let at = &rfc3339(now);
    match dialect {
        Dialect::V1 => write_answer_v1(outcome, at),
        Dialect::V2 => write_answer_v2(outcome, at),
    }
}

fn write_answer_v1(outcome: Result<Answer, Fault>, at: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Pong<'a, T> {
        server_time: &'a str,
        client_time: T,
    }
    let envelope = |kind, data| json(&Envelope { r#type: kind, timestamp: at, data });
    match outcome {
        Ok(Answer::Registered(client_id, proof)) => {
            let mut data = serde_json::json!({"client_id": client_id, "message": "Registration successful"});
            if let Some(proof) = proof {
                data["proof"] = write_proof(proof).into();
            }
            envelope("register_success", data)
        }
        Ok(Answer::Pong(client_time)) => {
            json(&Envelope { r#type: "pong", timestamp: at, data: Pong { server_time: at, client_time } })
        }
        Ok(Answer::Unregistered | Answer::Silence) => Vec::new(),
        Err(Fault { registering: true, error }) => {
            envelope("register_failed", serde_json::json!({"reason": error.message}))
        }
        Err(Fault { error, .. }) => {
            envelope("error", serde_json::json!({"code": error.kind.codes().2, "message": error.message}))
        }
    }
}

fn write_answer_v2(outcome: Result<Answer, Fault>, at: &str) -> Vec<u8> {
    let flat = |kind, message, proof: Option<u64>| {
        let proof = proof.map(write_proof);
        json(&Flat { r#type: kind, manga_id: 0, title: "", message, timestamp: at, proof })
    };
    match outcome {
        Ok(Answer::Registered(_, proof)) => flat("SUBSCRIBE", "Successfully subscribed to notifications", proof),
        Ok(Answer::Unregistered) => flat("UNSUBSCRIBE", "Successfully unsubscribed", None),
        // Its clients compare these bytes.
        Ok(Answer::Pong(_)) => br#"{"type":"PONG"}"#.to_vec(),
        Ok(Answer::Silence) | Err(_) => Vec::new(),
    }
}

/// Puts an event into bytes.
pub fn write_event(event: &Event, dialect: Dialect) -> Vec<u8> {
    match event {
        // Chat is for WebSockets.
        Event::Chat(_) => Vec::new(),
        Event::Notification(notification, _) => write_notification(notification, dialect),
        Event::Progress(event) => {
            #[derive(Serialize)]
            struct Typed<T> {
                r#type: &'static str,
                #[serde(flatten)]
                data: T,
            }
            let at = &rfc3339(event.at);
            match dialect {
                Dialect::V1 => {
                    json(&Envelope { r#type: "progress", timestamp: at, data: sync::progress_v1(event, at) })
                }
                Dialect::V2 => json(&Typed { r#type: "PROGRESS", data: sync::progress_v2(event, at) }),
            }
        }
    }
}

/// Puts a notification into bytes, with as many of its changes as there is room for.
pub fn write_notification(notification: &Notification, dialect: Dialect) -> Vec<u8> {
    let write = match dialect {
        Dialect::V1 => notices::write_v1_with,
        Dialect::V2 => notices::write_v2_with,
    };
    let (mut out, mut changes) = (Vec::new(), notification.changes.len());
    loop {
        out.clear();
        write(notification, changes, &mut out);
        if out.len() <= NOTIFICATION_BYTES_MAX || changes == 0 {
            return out;
        }
        changes -= 1;
    }
}

/// Writing plain data to memory has nothing that could fail.
fn json<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

/// What existing clients read of a datagram: of a longer one the end is lost, and with it the whole. Without its
/// changes a notification is shorter, whatever its texts.
const NOTIFICATION_BYTES_MAX: usize = 8192;

/// Room for a UUID and for any name somebody gives a program.
const ID_CHARACTERS_MAX: usize = 128;

/// Room for any way to write a time.
const CLIENT_TIME_BYTES_MAX: usize = 100;

/// A number of 64 bits, in sixteen digits.
const PROOF_CHARACTERS: usize = 16;

/// There are two topics.
const TOPICS_MAX: usize = 16;

/// How much of an unknown type is told back.
const KIND_CHARACTERS_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2027-01-15T08:00:00Z";
    const NOW: UnixMillis = 1_800_000_000_000;

    /// What the dialect answers to bytes that need no more than reading.
    fn refused(bytes: &str, dialect: Dialect) -> String {
        match parse(bytes.as_bytes(), dialect) {
            Err(fault) => String::from_utf8(write_answer(Err(fault), dialect, NOW)).unwrap(),
            Ok(Some(said)) => panic!("{bytes} was understood: {said:?}"),
            Ok(None) => String::new(),
        }
    }

    fn said(bytes: &str, dialect: Dialect) -> Said {
        parse(bytes.as_bytes(), dialect).unwrap().unwrap()
    }

    fn registered(bytes: &str, dialect: Dialect) -> Register {
        let Said::Register(wish) = said(bytes, dialect) else { panic!("{bytes}") };
        wish
    }

    fn answer(answer: Answer, dialect: Dialect) -> String {
        String::from_utf8(write_answer(Ok(answer), dialect, NOW)).unwrap()
    }

    /// Both dialects register, with and without a token, and may add the same.
    #[test]
    fn both_dialects_register() {
        let wish = registered(
            r#"{"type":"register","timestamp":"x","data":{"client_id":"c","user_id":"u","username":"n"}}"#,
            Dialect::V1,
        );
        assert_eq!((wish.client_id.as_str(), wish.user_id.as_deref(), wish.token), ("c", Some("u"), None));
        let wish = registered(
            r#"{"type":"SUBSCRIBE","user_id":"u","token":"t","ack":true,"topics":["progress","other"]}"#,
            Dialect::V2,
        );
        assert_eq!((wish.token.as_deref(), wish.acknowledges, wish.progress), (Some("t"), true, true));
        assert_eq!(registered(r#"{"type":"SUBSCRIBE"}"#, Dialect::V2), Register::default());
    }

    /// However much changed, a notification fits into a datagram; what is left out is counted, and what fits
    /// is whole.
    #[test]
    fn a_notification_fits_into_a_datagram() {
        use crate::store::model::{Chapter, FieldChange, NoticeKind, NoticeManga};
        let change = |number: usize| FieldChange {
            field: format!("{number}{}", "界".repeat(58)),
            old_value: "界".repeat(120).into(),
            new_value: "\"".repeat(120).into(),
        };
        let mut notification = Notification {
            id: i64::MAX,
            kind: NoticeKind::MangaUpdate,
            manga: Some(NoticeManga { id: i64::MAX, slug: "s".repeat(200) }),
            title: "\u{1f4d6}".repeat(300),
            message: "\u{1f4d6}".repeat(600),
            chapter: None,
            old_chapter: None,
            chapter_title: Some("\u{1f4d6}".repeat(300)),
            release_date: Some("\u{1f4d6}".repeat(60)),
            changes: (0..64).map(change).collect(),
            at: NOW,
        };
        let parts = |notification: &Notification, dialect| {
            let bytes = write_notification(notification, dialect);
            assert!(bytes.len() <= NOTIFICATION_BYTES_MAX, "{} bytes", bytes.len());
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
        };
        let told = parts(&notification, Dialect::V2);
        let shown = told["changes"].as_array().unwrap().len();
        assert!(shown > 0 && told["changes_left_out"] == 64 - shown, "{told}");
        let told = parts(&notification, Dialect::V1)["data"].take();
        let shown = told["updated_fields"].as_array().unwrap().len();
        assert!(shown > 0 && told["changes_left_out"] == 64 - shown, "{told}");
        notification.changes.truncate(1);
        assert_eq!(parts(&notification, Dialect::V2).get("changes_left_out"), None);
        (notification.kind, notification.chapter) = (NoticeKind::NewChapter, Chapter::whole(7));
        assert_eq!(parts(&notification, Dialect::V1)["data"].get("changes_left_out"), None);
    }

    /// The answers of the first dialect, to the byte.
    #[test]
    fn answers_of_the_first_dialect() {
        assert_eq!(
            answer(Answer::Registered("c".into(), None), Dialect::V1),
            format!(
                r#"{{"type":"register_success","timestamp":"{AT}","data":{{"client_id":"c","message":"Registration successful"}}}}"#
            )
        );
        let Said::Ping(time, None) =
            said(r#"{"type":"ping","data":{"client_time":"2026-01-01T00:00:00Z"}}"#, Dialect::V1)
        else {
            panic!("not a ping")
        };
        assert_eq!(
            answer(Answer::Pong(time), Dialect::V1),
            format!(
                r#"{{"type":"pong","timestamp":"{AT}","data":{{"server_time":"{AT}","client_time":"2026-01-01T00:00:00Z"}}}}"#
            )
        );
        assert_eq!(answer(Answer::Unregistered, Dialect::V1), "");
    }

    /// The answers of the second dialect, to the byte.
    #[test]
    fn answers_of_the_second_dialect() {
        assert_eq!(
            answer(Answer::Registered(String::new(), None), Dialect::V2),
            format!(
                r#"{{"type":"SUBSCRIBE","manga_id":0,"title":"","message":"Successfully subscribed to notifications","timestamp":"{AT}"}}"#
            )
        );
        assert_eq!(
            answer(Answer::Unregistered, Dialect::V2),
            format!(
                r#"{{"type":"UNSUBSCRIBE","manga_id":0,"title":"","message":"Successfully unsubscribed","timestamp":"{AT}"}}"#
            )
        );
        assert!(matches!(said(r#"{"type":"PING","user_id":"u"}"#, Dialect::V2), Said::Ping(None, None)));
        assert_eq!(answer(Answer::Pong(None), Dialect::V2), r#"{"type":"PONG"}"#);
    }

    /// An address that is not known to be where it says is told a number, and says it in a ping; a ping
    /// that says anything else is a ping without one.
    #[test]
    fn an_address_proves_itself() {
        let told = |dialect| -> serde_json::Value {
            serde_json::from_str(&answer(Answer::Registered("c".into(), Some(0xf00d)), dialect)).unwrap()
        };
        assert_eq!(told(Dialect::V1)["data"]["proof"], "000000000000f00d");
        assert_eq!(told(Dialect::V2)["proof"], "000000000000f00d");
        let proof = |bytes: &str, dialect| match said(bytes, dialect) {
            Said::Ping(_, proof) => proof,
            other => panic!("{other:?}"),
        };
        assert_eq!(proof(r#"{"type":"PING","proof":"000000000000f00d"}"#, Dialect::V2), Some(0xf00d));
        assert_eq!(proof(r#"{"type":"ping","data":{"proof":"000000000000f00d"}}"#, Dialect::V1), Some(0xf00d));
        for other in ["7", "\"\"", "\"-1\"", "\"g\"", "\"00000000000000001\"", "[]", "null"] {
            assert_eq!(proof(&format!(r#"{{"type":"PING","proof":{other}}}"#), Dialect::V2), None, "{other}");
        }
    }

    /// What the first dialect can't read it refuses by code or by reason.
    #[test]
    fn faults_of_the_first_dialect() {
        let error = |code: &str, message: &str| {
            format!(r#"{{"type":"error","timestamp":"{AT}","data":{{"code":"{code}","message":"{message}"}}}}"#)
        };
        let failed =
            |reason: &str| format!(r#"{{"type":"register_failed","timestamp":"{AT}","data":{{"reason":"{reason}"}}}}"#);
        let invalid = error("INVALID_MESSAGE", "Invalid message format");
        for bytes in ["", "{", "[]", "7", "{}", r#"{"type":7}"#, r#"{"type":"ping","type":"ping"}"#] {
            assert_eq!(refused(bytes, Dialect::V1), invalid, "{bytes}");
        }
        assert_eq!(
            refused(r#"{"type":"PING"}"#, Dialect::V1),
            error("UNKNOWN_MESSAGE_TYPE", "Unknown message type: PING")
        );
        assert_eq!(refused(r#"{"type":"register","data":{}}"#, Dialect::V1), failed("Client ID is required"));
        assert_eq!(refused(r#"{"type":"register"}"#, Dialect::V1), failed("Client ID is required"));
        for data in [r#"7"#, r#"{"client_id":7}"#, r#"{"client_id":"c","token":7}"#, r#"{"client_id":"c","ack":1}"#] {
            let bytes = format!(r#"{{"type":"register","data":{data}}}"#);
            assert_eq!(refused(&bytes, Dialect::V1), failed("Invalid registration data"), "{bytes}");
        }
        assert_eq!(refused(r#"{"type":"ack","data":{}}"#, Dialect::V1), error("INVALID_DATA", "id: required"));
        assert_eq!(
            refused(r#"{"type":"notification","data":{"message":"x"}}"#, Dialect::V1),
            error("FORBIDDEN", "Only the server notifies")
        );
        assert_eq!(refused(&"x".repeat(2049), Dialect::V1), error("MESSAGE_TOO_LARGE", "The message is too long"));
    }

    /// What the second dialect can't read, and what is an answer itself, is met with silence.
    #[test]
    fn silence_ends_every_conversation() {
        for bytes in ["", "{", "[]", r#"{"type":"subscribe"}"#, r#"{"type":"NEW_MANGA"}"#, r#"{"type":"ACK"}"#] {
            assert_eq!(refused(bytes, Dialect::V2), "", "{bytes}");
        }
        assert_eq!(refused(&"x".repeat(4097), Dialect::V2), "");
        assert_eq!(refused(r#"{"type":"SUBSCRIBE","user_id":7}"#, Dialect::V2), "");
        for own in [Answer::Registered("c".into(), Some(7)), Answer::Unregistered, Answer::Pong(None)] {
            let bytes = answer(own, Dialect::V2);
            assert_eq!(refused(&bytes, Dialect::V2), "", "{bytes}");
        }
        for own in [Answer::Registered("c".into(), Some(7)), Answer::Pong(None)] {
            let bytes = answer(own, Dialect::V1);
            assert_eq!(refused(&bytes, Dialect::V1), "", "{bytes}");
        }
        let fault = refused("{", Dialect::V1);
        assert_eq!(refused(&fault, Dialect::V1), "");
    }
}
