//! The sockets that services listen on, and how many descriptors there are for them.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{ServeError, store_options};
use crate::config::Config;
use crate::handlers::leases::Dialect;
use crate::handlers::session::ServiceKind;
use crate::reactor::datagrams::MioDatagrams;
use crate::reactor::grpc::{self, RpcLimits};
use crate::reactor::net::{ListenOptions, MioListener};

/// The sockets with what each is for, and which of them belong to each service.
pub(super) type Bound = (Vec<(MioListener, bool)>, Vec<ServiceKind>, Vec<(&'static str, std::ops::Range<usize>)>);

pub(super) fn bind(config: &Config) -> Result<Bound, ServeError> {
    let plans: [(ServiceKind, &'static str, &[SocketAddr]); 4] = [
        (ServiceKind::Http, "http.listen", &config.http.listen),
        (ServiceKind::SyncV1, "tcp.v1_listen", &config.tcp.v1_listen),
        (ServiceKind::SyncV2, "tcp.v2_listen", &config.tcp.v2_listen),
        (ServiceKind::Internal, "internal.listen", &config.internal.listen),
    ];
    let keepalive = (config.tcp.keepalive_seconds > 0).then(|| Duration::from_secs(config.tcp.keepalive_seconds));
    let (mut listeners, mut kinds, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, key, addresses) in plans {
        let first = listeners.len();
        for address in addresses {
            let options = ListenOptions { keepalive: keepalive.filter(|_| kind.is_sync()), tls: None };
            let listener = MioListener::bind(*address, options).map_err(|why| ServeError::Listen {
                service: kind.as_str(),
                key,
                address: *address,
                why,
            })?;
            listeners.push((listener, kind == ServiceKind::Internal));
            kinds.push(kind);
        }
        services.push((kind.as_str(), first..listeners.len()));
    }
    Ok((listeners, kinds, services))
}

/// The sockets of gRPC's thread, and where they are.
pub(super) fn bind_rpc(config: &Config) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), ServeError> {
    let bind = |address: &SocketAddr| {
        let bound = grpc::bind(*address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        bound.map(|(address, listener)| (listener, address)).map_err(|why| ServeError::Listen {
            service: ServiceKind::Grpc.as_str(),
            key: "grpc.listen",
            address: *address,
            why,
        })
    };
    config.grpc.listen.iter().map(bind).collect()
}

/// What peers of gRPC may take, of so many descriptors: none where it is not served.
pub(super) fn rpc_limits(config: &Config, descriptors: usize) -> RpcLimits {
    let most = descriptors.saturating_sub(DESCRIPTOR_RESERVE) / RPC_PART;
    let connections_max = match config.grpc.listen.is_empty() {
        true => 0,
        false => config.grpc.connections.min(most.max(CONNECTIONS_MIN)),
    };
    RpcLimits {
        connections_max,
        address_max: config.limits.connections_per_address as u32,
        streams_max: config.grpc.streams_per_connection as u32,
        calls_max: config.grpc.calls,
        keepalive: Duration::from_secs(config.grpc.keepalive_seconds),
    }
}

/// The sockets of datagrams with what is spoken on each, and which of them belong to each service.
pub(super) type BoundDatagrams = (Vec<MioDatagrams>, Vec<Dialect>, Vec<(&'static str, std::ops::Range<usize>)>);

pub(super) fn bind_datagrams(config: &Config) -> Result<BoundDatagrams, ServeError> {
    let plans: [(&'static str, Dialect, &'static str, &[SocketAddr]); 2] =
        [("udp_v1", Dialect::V1, "udp.v1", &config.udp.v1), ("udp_v2", Dialect::V2, "udp.v2", &config.udp.v2)];
    let (mut sockets, mut dialects, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for (service, dialect, key, addresses) in plans {
        let first = sockets.len();
        for address in addresses {
            let failed = |why| ServeError::Listen { service, key, address: *address, why };
            sockets.push(MioDatagrams::bind(*address).map_err(failed)?);
            dialects.push(dialect);
        }
        services.push((service, first..sockets.len()));
    }
    Ok((sockets, dialects, services))
}

/// How many descriptors this process may open: as many as the system lets it ask for.
pub(super) fn descriptors(config: &Config) -> Result<usize, ServeError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // The soft limit is a courtesy to programs that use select; this one doesn't.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = getrlimit(Resource::Nofile).current.map_or(1 << 20, |limit| limit as usize);
    // A database connection has its file, its log and, now and then, a journal.
    let wanted = DESCRIPTORS_MIN + config.listeners().count() + 3 * (store_options(config).readers + 1);
    if allowed < wanted { Err(ServeError::Descriptors { allowed, wanted }) } else { Ok(allowed) }
}

/// How many connections there may be: as configured, or all that the system's limit on descriptors
/// allows, less a reserve for the store, the logs and those who are told that there is no room.
pub(super) fn connection_bound(configured: usize, descriptors: usize) -> usize {
    let most = descriptors.saturating_sub(DESCRIPTOR_RESERVE).max(CONNECTIONS_MIN);
    if configured > most {
        let wanted = configured + DESCRIPTOR_RESERVE;
        tracing::warn!(
            configured,
            most,
            allowed = descriptors,
            wanted,
            "limits.connections needs a higher RLIMIT_NOFILE"
        );
    }
    if configured == 0 { most } else { configured.min(most) }
}

/// Descriptors that connections leave for everything else.
const DESCRIPTOR_RESERVE: usize = 512;

/// gRPC has at most one connection in so many: a client of it needs one for all its calls. With 20,000
/// descriptors the loop keeps 19,000.
const RPC_PART: usize = 50;

/// As few connections as make sense: who has so few descriptors has no room for the whole reserve.
const CONNECTIONS_MIN: usize = 16;

/// What a start takes beside sockets to listen on and the store: [`CONNECTIONS_MIN`], standard streams,
/// the poll, and some room.
const DESCRIPTORS_MIN: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that both kinds of connections and the reserve fit into what there is, and that gRPC takes little of it.
    #[test]
    fn descriptors_are_shared() {
        let config = Config::default();
        for descriptors in [1024, 4096, 20_000, 1_048_576] {
            let rpc = rpc_limits(&config, descriptors).connections_max;
            let most = connection_bound(0, descriptors - rpc);
            assert!(
                rpc >= CONNECTIONS_MIN && rpc + most + DESCRIPTOR_RESERVE <= descriptors.max(1040),
                "{descriptors}"
            );
        }
        let rpc = rpc_limits(&config, 20_000).connections_max;
        assert!(connection_bound(0, 20_000 - rpc) >= 19_000);
    }
}
