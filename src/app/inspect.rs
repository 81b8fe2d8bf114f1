//! The operator's pages, made from what the loop and the handlers count.

use serde_json::{Value, json};

use crate::handlers::State;
use crate::handlers::api::{Answer, ConnzQuery, Inquiry, Reply};
use crate::proto::internal::{self, ConnRow, Metric};
use crate::proto::time::rfc3339;
use crate::reactor::grpc::{Answers, Board, Counts, Ended};
use crate::reactor::stats::{Closed, Open, PHASES, Stats, View, Wanted};

/// Answers a question about the server.
pub fn answer(state: &State, rpc: Option<&Answers>, inquiry: Inquiry, view: &View<'_>) -> Answer {
    let (origin, reply) = match inquiry {
        Inquiry::Metrics(origin, format) => {
            (origin, internal::metrics_page(metrics(state, rpc.map(Answers::counts), view), format))
        }
        Inquiry::Varz(origin) => (origin, varz(state, rpc.map(Answers::board), view)),
        Inquiry::Connz(origin, query) => (origin, connz(&query, rpc.map(Answers::board), view)),
        Inquiry::Sync(origin) => {
            let (clients, users) = state.members.sync_counts();
            (origin, Reply::SyncStats { clients, users, waiting: view.events_waiting })
        }
    };
    Answer { origin, outcome: Ok(reply) }
}

fn metrics(state: &State, rpc: Option<&Counts>, view: &View<'_>) -> Vec<Metric> {
    let stats = view.stats;
    let count = |name, help, value: u64| Metric::one(name, help, true, value as f64);
    let gauge = |name, help, value: usize| Metric::one(name, help, false, value as f64);
    let (clients, users) = state.members.sync_counts();
    let (verified, anonymous) = state.counts.websockets;
    let leases = &state.leases.registry;
    let (proven, claimed) = leases.counts();
    let calls = internal::call_counts(&state.counts.calls);
    let sampled = |us: &u64| *us as f64 * Stats::SAMPLE as f64 / 1e6;
    let mut metrics = vec![
        Metric::each(
            "build_info",
            "Which program this is",
            false,
            "version",
            [(env!("CARGO_PKG_VERSION").to_owned(), 1.0)].into_iter(),
        ),
        gauge("connections", "Open connections", view.connections),
        gauge("connections_limit", "The most connections there may be", view.connections_max),
        count("connections_opened", "Connections accepted", stats.accepted),
        count("connections_refused", "Connections told that there is no room", stats.refused),
        count("accept_errors", "Accepts that failed", stats.accept_errors),
        Metric::each(
            "connections_closed",
            "Connections ended, by reason",
            true,
            "reason",
            stats.closes().map(|(reason, count)| (reason.as_str().to_owned(), count as f64)),
        ),
        gauge("sync_clients", "Authenticated sync connections", clients),
        gauge("sync_users", "Users with an authenticated sync connection", users),
        Metric::each(
            "websockets",
            "Open WebSockets, by whether somebody vouches for who it is",
            false,
            "who",
            [("verified".to_owned(), verified as f64), ("anonymous".to_owned(), anonymous as f64)].into_iter(),
        ),
        gauge("topics", "Topics with members", view.topics),
        count("received_bytes", "Bytes read from connections", stats.bytes_in),
        count("sent_bytes", "Bytes written to connections", stats.bytes_out),
        count("messages_received", "Messages decoded", stats.messages_in),
        count("events_published", "Events told to topics", stats.events),
        count("deliveries", "Copies of events queued to connections", stats.deliveries),
        count("datagrams_received", "Datagrams received", stats.datagrams.0),
        count("datagrams_sent", "Datagrams sent", stats.datagrams.1),
        count("datagrams_received_bytes", "Bytes of datagrams received", stats.datagram_bytes.0),
        count("datagrams_sent_bytes", "Bytes of datagrams sent", stats.datagram_bytes.1),
        count(
            "datagrams_dropped",
            "Datagrams dropped because too many were waiting to be sent",
            stats.datagrams_dropped,
        ),
        count("datagram_errors", "Datagrams that the system would not send or receive", stats.datagram_errors),
        count("datagrams_ignored", "Datagrams of addresses that send too many", leases.ignored),
        count("datagrams_held_back", "Datagrams not sent to addresses that have sent too little", leases.held_back),
        gauge("datagrams_waiting", "Datagrams waiting to be sent", view.datagrams_waiting),
        Metric::each(
            "leases",
            "Addresses registered for notifications",
            false,
            "verified",
            [("true".to_owned(), proven as f64), ("false".to_owned(), claimed as f64)].into_iter(),
        ),
        gauge("notifications_waiting", "Notifications that listeners are still to be told", state.notices.line.len()),
        count(
            "notifications_skipped",
            "Notifications not told at once, because too many were waiting",
            state.notices.line.skipped,
        ),
        count(
            "notification_looks_retried",
            "Looks for those whom a notification is for that found no room, and were taken again",
            state.notices.line.retried,
        ),
        gauge("streams", "gRPC streams that are told what happens", state.streams.len()),
        gauge("events_waiting", "Events that wait to be told", view.events_waiting),
        gauge("receive_buffer_bytes", "Bytes held in receive buffers", view.held.0),
        gauge("send_queue_bytes", "Bytes owed to connections", view.held.1),
        count("jobs_submitted", "Jobs given to workers", stats.jobs),
        count("jobs_refused", "Jobs refused because their queue was full", stats.jobs_refused),
        Metric::each(
            "job_queue_depth",
            "Jobs waiting, by lane",
            false,
            "lane",
            view.lanes.iter().map(|(lane, depth)| ((*lane).to_owned(), *depth as f64)),
        ),
        count("handler_panics", "Handlers that panicked", stats.panics),
        Metric::each(
            "calls",
            "Calls made, by name",
            true,
            "call",
            calls.iter().map(|(name, (made, _))| (name.clone(), *made as f64)),
        ),
        Metric::each(
            "calls_refused",
            "Calls refused, by name",
            true,
            "call",
            calls.iter().map(|(name, (_, refused))| (name.clone(), *refused as f64)),
        ),
        Metric::each(
            "errors",
            "Refusals, by code",
            true,
            "code",
            state.counts.refusals.iter().map(|(code, count)| ((*code).to_owned(), *count as f64)),
        ),
        count("answers", "Calls answered", state.counts.answered.0),
        Metric::one(
            "answer_seconds",
            "Time from a call's arrival to its answer, of all calls together",
            true,
            state.counts.answered.1 as f64 / 1000.0,
        ),
        count("loop_turns", "Turns of the event loop", stats.turns),
        Metric::each(
            "loop_phase_seconds",
            "Time in each phase of the loop, estimated from a sample of turns",
            true,
            "phase",
            PHASES.iter().zip(&stats.phase_us).map(|(phase, us)| ((*phase).to_owned(), sampled(us))),
        ),
        gauge("catalogue_series", "Series in the catalogue", state.catalogue.len()),
        Metric::one("start_time_seconds", "When the server started", false, state.started_ms as f64 / 1000.0),
    ];
    metrics.extend(rpc.into_iter().flat_map(rpc_metrics));
    metrics
}

/// What the thread of gRPC counts.
fn rpc_metrics(counts: &Counts) -> [Metric; 4] {
    let count = |(name, count): (&str, u64)| (name.to_owned(), count as f64);
    [
        Metric::one("grpc_connections", "Open connections of gRPC", false, counts.connections() as f64),
        Metric::each(
            "grpc_connections_closed",
            "Connections of gRPC that ended, by reason",
            true,
            "reason",
            counts.closes().map(count),
        ),
        Metric::one("grpc_accept_errors", "Accepts of gRPC that failed", true, counts.accept_errors() as f64),
        Metric::each("grpc_calls_ended", "Calls by gRPC that ended, by code", true, "code", counts.calls().map(count)),
    ]
}

fn varz(state: &State, rpc: Option<&Board>, view: &View<'_>) -> Reply {
    let stats = view.stats;
    let (clients, users) = state.members.sync_counts();
    let (verified, unverified) = state.leases.registry.counts();
    let closes: serde_json::Map<_, _> = stats
        .closes()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.as_str().to_owned(), count.into()))
        .collect();
    internal::json_page(&json!({
        "server": "mangahub",
        "version": env!("CARGO_PKG_VERSION"),
        "now": rfc3339(view.now.unix_ms),
        "start": rfc3339(state.started_ms),
        "uptime_seconds": view.now.mono_ms / 1000,
        "state": if view.draining { "draining" } else { "running" },
        "connections": view.connections,
        "max_connections": view.connections_max,
        "total_connections": stats.accepted,
        "refused_connections": stats.refused,
        "closed": closes,
        "sync_clients": clients,
        "sync_users": users,
        "websockets": {"verified": state.counts.websockets.0, "anonymous": state.counts.websockets.1},
        "grpc": {"connections": rpc.map_or(0, Board::open_count), "streams": state.streams.len()},
        "topics": view.topics,
        "in_bytes": stats.bytes_in,
        "out_bytes": stats.bytes_out,
        "in_msgs": stats.messages_in,
        "datagrams": {"received": stats.datagrams.0, "sent": stats.datagrams.1, "dropped": stats.datagrams_dropped,
            "errors": stats.datagram_errors, "waiting": view.datagrams_waiting,
            "ignored": state.leases.registry.ignored, "held_back": state.leases.registry.held_back},
        "leases": {"verified": verified, "unverified": unverified},
        "events": stats.events,
        "deliveries": stats.deliveries,
        "events_waiting": view.events_waiting,
        "held_bytes": {"receive": view.held.0, "send": view.held.1},
        "jobs": {"submitted": stats.jobs, "refused": stats.jobs_refused,
            "waiting": view.lanes.iter().map(|(lane, depth)| ((*lane).to_owned(), *depth)).collect::<std::collections::BTreeMap<_, _>>()},
        "panics": stats.panics,
        "turns": stats.turns,
        "catalogue": state.catalogue.len(),
    }))
}

fn connz(query: &ConnzQuery, rpc: Option<&Board>, view: &View<'_>) -> Reply {
    let wanted = |protocol: &str, user: Option<&str>| {
        query.protocol.as_deref().is_none_or(|wanted| wanted == protocol)
            && query.user.as_deref().is_none_or(|wanted| Some(wanted) == user)
    };
    let mut rows = Vec::new();
    if query.open {
        let wanted = |open: &Open| wanted(open.protocol, open.user.as_deref());
        rows.extend(open_ones(query, &wanted, rpc, view).iter().map(open_row));
    }
    if query.closed {
        let wanted_open = |open: &Open| wanted(open.protocol, open.user.as_deref());
        let closed = view.stats.closed().filter(|closed| wanted(closed.protocol, closed.user.as_deref()));
        let ended = rpc.map(Board::ended).unwrap_or_default();
        let ended = ended.iter().filter(|ended| wanted_open(&ended.last));
        let both = closed.map(closed_row).chain(ended.map(ended_row));
        let mut both: Vec<(i64, Value)> = both.collect();
        both.sort_by_key(|(closed_ms, _)| std::cmp::Reverse(*closed_ms));
        rows.extend(both.into_iter().take(query.limit).map(|(_, row)| row));
    }
    internal::json_page(&json!({
        "now": rfc3339(view.now.unix_ms),
        "num_connections": view.connections + rpc.map_or(0, Board::open_count),
        "offset": query.offset,
        "limit": query.limit,
        "connections": rows,
    }))
}

/// The loop's connections in their order, then those of gRPC in theirs.
fn open_ones(query: &ConnzQuery, wanted: Wanted<'_>, rpc: Option<&Board>, view: &View<'_>) -> Vec<Open> {
    let mut ones = (view.open)(wanted, query.offset, query.limit);
    let room = query.limit - ones.len();
    if let (Some(board), 1..) = (rpc, room) {
        let before = if query.offset == 0 { ones.len() } else { (view.open)(wanted, 0, usize::MAX).len() };
        ones.extend(board.open(wanted, query.offset.saturating_sub(before), room));
    }
    ones
}

fn open_row(open: &Open) -> Value {
    let row = ConnRow {
        id: open.key.pack(),
        peer: open.peer,
        protocol: open.protocol,
        user: open.user.as_deref(),
        times_ms: (open.opened_ms, open.active_ms),
        bytes: open.bytes,
        messages: open.messages,
        more: json!({"state": "open", "pending_bytes": open.held.1, "received_bytes": open.held.0, "jobs": open.jobs}),
    };
    row.json(false)
}

fn closed_row(closed: &Closed) -> (i64, Value) {
    let row = ConnRow {
        id: closed.key.pack(),
        peer: closed.peer,
        protocol: closed.protocol,
        user: closed.user.as_deref(),
        times_ms: (closed.opened_ms, closed.closed_ms),
        bytes: closed.bytes,
        messages: closed.messages,
        more: json!({"state": "closed", "reason": closed.reason.as_str()}),
    };
    (closed.closed_ms, row.json(true))
}

/// The same of gRPC.
fn ended_row(ended: &Ended) -> (i64, Value) {
    let last = &ended.last;
    let row = ConnRow {
        id: last.key.pack(),
        peer: last.peer,
        protocol: last.protocol,
        user: last.user.as_deref(),
        times_ms: (last.opened_ms, ended.closed_ms),
        bytes: last.bytes,
        messages: last.messages,
        more: json!({"state": "closed", "reason": ended.reason}),
    };
    (ended.closed_ms, row.json(true))
}
