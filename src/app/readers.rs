//! The kinds of readers of an event: each kind is told in bytes of its own, which all its readers share.

use crate::handlers::api::Event;
use crate::handlers::session::{ServiceKind, Session};
use crate::proto::{sync, websocket, ws_text};

/// The first family's lines.
pub(super) const SYNC_V1: usize = 0;
/// The second family's lines.
pub(super) const SYNC_V2: usize = 1;
/// Text frames.
pub(super) const WEBSOCKET: usize = 2;
/// Text frames for those who asked to hear of progress too.
pub(super) const WEBSOCKET_AND_PROGRESS: usize = 3;
/// Text frames for those who show each as a line that somebody said.
pub(super) const WEBSOCKET_PLAIN: usize = 4;

/// Which of these a session is.
pub(super) fn kind_of(session: &Session) -> usize {
    match session.service {
        ServiceKind::SyncV2 => SYNC_V2,
        ServiceKind::Ws if session.heard.progress() => WEBSOCKET_AND_PROGRESS,
        ServiceKind::Ws if session.plain => WEBSOCKET_PLAIN,
        ServiceKind::Ws => WEBSOCKET,
        _ => SYNC_V1,
    }
}

/// What such a reader hears of an event; nothing, if it is not for them.
pub(super) fn write_event(event: &Event, kind: usize, out: &mut Vec<u8>) {
    match kind {
        SYNC_V2 => sync::write_event(event, ServiceKind::SyncV2, out),
        SYNC_V1 => sync::write_event(event, ServiceKind::SyncV1, out),
        WEBSOCKET | WEBSOCKET_PLAIN if matches!(event, Event::Progress(_)) => {}
        WEBSOCKET_PLAIN if matches!(event, Event::Chat(event) if !event.is_line()) => {}
        // One text frame for all its readers.
        _ => websocket::write_text(out, |out| ws_text::write_event(event, out)),
    }
}
