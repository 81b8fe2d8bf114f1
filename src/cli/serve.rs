//! What a start tells people: a table of services and commands to try.
//!
//! Starting itself is the library's `serve`; this file only renders what it bound.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
};

use comfy_table::{ContentArrangement, Table, presets};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::reactor::start::Remote;

/// One service that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in the ports file: `http`, `tcp_v1`, `tcp_v2`, `udp_v1`, `udp_v2`, `internal`.
    pub name: &'static str,
    /// Where it listens, ports filled in.
    pub addresses: Vec<SocketAddr>,
    /// What it serves, for people.
    pub what: &'static str,
}

/// Every service with what it serves, in the order of the table.
pub const SERVICES: [(&str, &str); 7] = [
    ("http", "the web API: /api/v1, /api, and a page to try it, /docs"),
    ("tcp_v1", "sync, one JSON object per line (auth, progress, ping)"),
    ("tcp_v2", "sync, second dialect (auth, progress_update, heartbeat)"),
    ("udp_v1", "notifications, one JSON object per datagram (register, ping)"),
    ("udp_v2", "notifications, second dialect (SUBSCRIBE, PING)"),
    ("grpc", "MangaService of both families, mangahub.v1, health, reflection"),
    ("internal", "for operators: /metrics, /varz, /connz, /readyz"),
];

/// Adds to each service's addresses what it serves.
pub fn describe(bound: Vec<(&'static str, Vec<SocketAddr>)>) -> Vec<Service> {
    let what = |name: &str| SERVICES.iter().find(|(known, _)| *known == name).map_or("", |(_, what)| what);
    bound.into_iter().map(|(name, addresses)| Service { name, addresses, what: what(name) }).collect()
}

/// Prints the table of services, three commands to try, and how to stop.
pub fn welcome(services: &[Service], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "MangaHub {} is running.\n", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "{}\n", table(services))?;
    let commands = commands_to_try(services);
    if !commands.is_empty() {
        writeln!(out, "Try next, in another terminal:\n")?;
        for (what, command) in commands {
            writeln!(out, "  # {what}\n  {command}\n")?;
        }
    }
    writeln!(out, "Ctrl-C stops it, and keeps everything.")
}

/// SIGTERM and SIGINT drain the server; a second one ends the process at once, with the status that
/// a shell expects of a signal. SIGHUP ends nothing: it runs `reload`, each time it comes.
pub fn on_signals(remote: Remote, mut reload: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let listen = move || {
        let mut draining = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => reload(),
                signal if draining => std::process::exit(128 + signal),
                _ => {
                    draining = true;
                    tracing::info!("draining; a second signal ends at once");
                    remote.drain();
                }
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(listen).map(drop)
}

fn table(services: &[Service]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["Service", "Address", "What it serves"]);
    for service in services {
        let addresses = service.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        let addresses = if addresses.is_empty() { "off".to_owned() } else { addresses.join("\n") };
        table.add_row([service.name, &addresses, service.what]);
    }
    table.to_string()
}

/// Register, look a series up, listen and read a chapter: the main job, as far as its services run.
fn commands_to_try(services: &[Service]) -> Vec<(&'static str, String)> {
    let mut commands = Vec::new();
    if let Some(http) = first_address(services, "http") {
        commands.push((
            "Register, and keep the token",
            format!(
                "TOKEN=$(curl -s http://{http}/api/v1/auth/register -H 'Content-Type: application/json' \
                 -d '{{\"username\":\"reader\",\"email\":\"reader@example.org\",\"password\":\"correct horse\"}}' \
                 | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')"
            ),
        ));
        commands.push(("Look a series up", format!("curl -s 'http://{http}/api/v1/manga?title=one&limit=3'")));
    }
    if let (Some(_), Some(tcp)) = (first_address(services, "http"), first_address(services, "tcp_v1")) {
        commands.push((
            "Read a chapter over TCP, and see it broadcast to every device",
            format!(
                "(printf '{{\"type\":\"auth\",\"data\":{{\"token\":\"%s\"}}}}\\n' \"$TOKEN\"; \
                 echo '{{\"type\":\"progress\",\"data\":{{\"manga_id\":\"one-piece\",\"current_chapter\":7}}}}'; sleep 1) \
                 | nc -N {} {}",
                tcp.ip(),
                tcp.port()
            ),
        ));
    }
    commands
}

/// The first address of a service as a client on this machine reaches it.
fn first_address(services: &[Service], name: &str) -> Option<SocketAddr> {
    let mut address = *services.iter().find(|service| service.name == name)?.addresses.first()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(http: &[&str], tcp: &[&str]) -> Vec<Service> {
        let parse = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        describe(vec![("http", parse(http)), ("tcp_v1", parse(tcp))])
    }

    fn printed(services: &[Service]) -> String {
        let mut out = Vec::new();
        welcome(services, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Every address of every service is in the table, beside what it serves; an empty list is off.
    #[test]
    fn the_table_names_every_address() {
        let text = printed(&services(&["127.0.0.1:8080", "127.0.0.1:8084"], &[]));
        let row = |address: &str| text.lines().find(|line| line.contains(address)).unwrap();
        assert!(row("127.0.0.1:8080").contains("http") && row("127.0.0.1:8080").contains("/api/v1"));
        assert!(row("127.0.0.1:8084").starts_with('│'));
        assert!(row(" off ").contains("tcp_v1"));
    }

    /// There are three commands, each with the address to use; a listener on all addresses is reached by loopback.
    #[test]
    fn three_commands_to_try() {
        let text = printed(&services(&["0.0.0.0:1234"], &["[::]:5678"]));
        assert_eq!(text.matches("  # ").count(), 3);
        assert!(text.contains("http://127.0.0.1:1234/api/v1/auth/register"));
        assert!(text.contains("| nc -N ::1 5678"));
    }

    /// What is not running is not proposed.
    #[test]
    fn commands_need_their_service() {
        assert_eq!(printed(&services(&["127.0.0.1:1"], &[])).matches("  # ").count(), 2);
        assert_eq!(printed(&services(&[], &["127.0.0.1:1"])).matches("  # ").count(), 0);
    }

    /// The JSON in the commands is JSON, so that a first try does not fail on a slip of ours.
    #[test]
    fn bodies_are_json() {
        let text = printed(&services(&["127.0.0.1:1"], &["127.0.0.1:2"]));
        let bodies: Vec<&str> = text.split('\'').filter(|part| part.starts_with("{\"")).collect();
        assert_eq!(bodies.len(), 3);
        for body in bodies {
            let body = body.replace("\\n", "");
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
        }
    }
}
