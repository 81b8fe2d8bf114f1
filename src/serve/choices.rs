//! The operator's choices, put as each part needs them.

use crate::config::{BroadcastScope, Config, ConflictRule, Registration, Udp};
use crate::handlers::rate::Rate;
use crate::handlers::{Settings, leases, webhooks};
use crate::proto::http1::HttpLimits;
use crate::reactor::ReactorLimits;
use crate::store::model::Behind;

/// The listeners through which people may chat without a token: HTTP's are bound before all others.
fn anonymous_listeners(config: &Config) -> Vec<u8> {
    let ports = config.http.listen.iter().map(|address| address.port());
    (0..).zip(ports).filter(|(_, port)| config.http.anonymous_chat.contains(port)).map(|(index, _)| index).collect()
}

/// What handlers need to know of the configuration.
pub fn settings(config: &Config) -> Settings {
    let (scope, narrowed) = config.effective_broadcast_scope();
    if narrowed {
        tracing::warn!("a listener is not on loopback, so tcp.broadcast_scope is \"user\"; set the key to choose");
    }
    let ms = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
    Settings {
        registration: config.auth.registration == Registration::Open,
        bcrypt_cost: config.auth.bcrypt_cost,
        v1_token_s: i64::from(config.auth.v1_token_days) * 86_400,
        v2_access_s: i64::from(config.auth.v2_access_minutes) * 60,
        v2_refresh_s: i64::from(config.auth.v2_refresh_days) * 86_400,
        token_s_max: token_s_max(config),
        broadcast_all: scope == BroadcastScope::All,
        broadcasts: Rate { per_second: config.tcp.broadcasts_per_second, burst: config.tcp.broadcasts_per_second },
        messages: Rate { per_second: config.limits.messages_per_second, burst: config.limits.messages_burst },
        connections_per_user: config.limits.connections_per_user as u32,
        connections_per_address: config.limits.connections_per_address as u32,
        hosts: config.http.hosts.clone(),
        cors_origins: config.http.cors_origins.clone(),
        internal_token: config.internal.token.as_ref().map(|token| token.expose().clone()),
        notices_keep_ms: i64::from(config.notifications.keep_days) * 86_400_000,
        chat_keep_days: config.chat.keep_days,
        recommend_interval_ms: config.recommend.interval_minutes as u64 * 60_000,
        webhooks: webhook_settings(config),
        reconnect_after_ms: RECONNECT_AFTER_MS,
        anonymous_chat: anonymous_listeners(config),
        ws_timeouts_ms: (ms(config.websocket.ping_seconds * 1000), ms(config.websocket.pong_seconds * 1000)),
        ws_message_bytes_max: (config.websocket.message_bytes, config.websocket.anonymous_message_bytes),
        line_bytes_max: config.tcp.line_bytes,
        first_line_bytes_max: config.tcp.line_bytes_before_auth,
        auth_timeout_ms: (ms(config.tcp.v1_auth_timeout_ms), ms(config.tcp.v2_auth_timeout_ms)),
        v2_idle_ms: ms(config.tcp.v2_idle_timeout_ms),
        http_timeouts_ms: (
            ms(config.http.idle_timeout_ms),
            ms(config.http.head_timeout_ms),
            ms(config.http.body_timeout_ms),
        ),
        v2_coalesce: config.tcp.v2_coalesce,
        leases: lease_wishes(&config.udp),
        behind: match config.sync.conflict {
            ConflictRule::LastWriteWins => Behind::Store,
            ConflictRule::Furthest => Behind::KeepPlace,
            ConflictRule::Ask => Behind::Refuse,
        },
        rpc_unauthenticated: config.grpc.allow_unauthenticated,
    }
}

fn webhook_settings(config: &Config) -> webhooks::Settings {
    let hooks = &config.webhooks;
    webhooks::Settings {
        allow_private: hooks.allow_private,
        per_user: hooks.per_user as u32,
        // A user whose receivers are slow leaves room for others, and so do all such users together.
        calls: webhooks::Calls {
            all: hooks.calls,
            of_one: (hooks.calls / 8).max(1),
            of_slow: (hooks.calls / 4).max(1),
        },
        backoff_ms: hooks.backoff_ms,
        attempts: hooks.attempts,
        disable_after: hooks.disable_after,
        keep_ms: i64::from(hooks.keep_days) * 86_400_000,
    }
}

/// What the operator wants of leases.
fn lease_wishes(udp: &Udp) -> leases::Wishes {
    leases::Wishes {
        bounds: leases::Bounds {
            lease_ms: udp.lease_seconds * 1000,
            silent_lease_ms: udp.silent_lease_seconds * 1000,
            leases_max: udp.leases,
            leases_per_user: udp.leases_per_user,
            leases_per_address: udp.leases_per_address,
            rate: Rate { per_second: udp.datagrams_per_second, burst: udp.datagrams_per_second.saturating_mul(2) },
        },
        resend: leases::Resend { first_ms: udp.resend_ms, attempts_max: udp.resend_attempts as u32 },
        believe_claims: udp.allow_unverified_replay,
    }
}

/// The longest life of any token that is not looked up, in seconds.
pub fn token_s_max(config: &Config) -> i64 {
    // Refresh tokens are not among them: the store itself says whether one counts.
    i64::from(config.auth.v1_token_days * 86_400).max(i64::from(config.auth.v2_access_minutes * 60))
}

pub(super) fn http_limits(config: &Config) -> HttpLimits {
    HttpLimits {
        head_bytes_max: config.http.head_bytes,
        line_bytes_max: config.http.line_bytes,
        fields_max: config.http.fields,
        body_bytes_max: config.http.body_bytes,
    }
}

pub(super) fn limits(config: &Config, connections_max: usize) -> ReactorLimits {
    let limits = &config.limits;
    ReactorLimits {
        connections_max,
        recv_bytes_total: limits.recv_bytes_total,
        send_bytes_total: limits.send_bytes_total,
        send_bytes_max: limits.send_bytes_per_connection,
        pipeline_jobs: limits.pipeline_jobs as u16,
        read_budget_bytes: limits.read_budget_bytes,
        write_budget_bytes: limits.write_budget_bytes,
        calls_per_turn: limits.calls_per_turn,
        accepts_per_turn: limits.accepts_per_turn,
        completions_per_turn: limits.completions_per_turn,
        datagrams_queued: config.udp.queue,
        drain_ms: config.server.drain_seconds * 1000,
        ..ReactorLimits::default()
    }
}

/// How long clients should wait before they come back after a shutdown: a restart takes less.
const RECONNECT_AFTER_MS: u64 = 5000;
