//! Growth: what one delivery, one more client and one idle connection cost with few connections and with many.
//!
//! A cost that stays level is the claim of an event loop; a line that bends upwards would be the news. Costs are
//! the server's processor time, so that they hold however busy the load's own core is.

use std::time::Duration;

use super::sync::token_of_a_new_user;
use super::{Samples, Suite, UNKNOWN_SERIES};
use crate::client::Swarm;
use crate::error::{Doing, LoadError};
use crate::login::log_in_all;
use crate::message::Message;
use crate::report::Chart;
use crate::report::chart::{CEILING, SERVER};
use crate::scenario::Pace;
use crate::scenario::fanout::{self, FanOut, Loop};
use crate::server::{Ceiling, MangaHub, processor_time, settled_rss_anon_bytes};
use crate::token::forge_tokens;

/// What a crowd had cost when it had come in.
struct Crowd {
    clients: usize,
    /// The server's anonymous memory.
    memory_bytes: u64,
    /// What the kernel keeps for everything on this machine, both ends of each connection included.
    kernel_bytes: u64,
    /// The server's processor time so far.
    processor: Duration,
}

impl Suite<'_> {
    /// Every cost at every size.
    pub fn growth(&mut self) {
        self.growth_of_a_crowd("one user's", 1);
        self.growth_of_a_crowd("a different user each", usize::MAX);
        self.growth_of_a_delivery();
    }

    /// Connections that come in and stay: memory, and processor time for each.
    fn growth_of_a_crowd(&mut self, whose: &str, users: usize) {
        let Some(hub) = self.start_server(&[]) else { return };
        let crowds = grow(&hub, self.scale.growth, users);
        let Some(crowds) = self.keep(crowds, "a growing crowd") else { return };
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let name = format!("{SERVER}, {whose}");
        let all = crowds.iter().map(|crowd| [crowd.clients as f64, mib(crowd.memory_bytes)]).collect();
        self.report.chart(MEMORY, memory_chart).add(&name, all);
        let steps = |cost: &dyn Fn(&Crowd, &Crowd) -> f64| {
            let step = |pair: &[Crowd]| {
                let more = (pair[1].clients - pair[0].clients) as f64;
                [pair[1].clients as f64, cost(&pair[0], &pair[1]) / more]
            };
            crowds.windows(2).map(step).collect::<Vec<_>>()
        };
        let idle = steps(&|small, large| large.memory_bytes as f64 - small.memory_bytes as f64);
        self.report.chart(IDLE, idle_chart).add(&name, idle);
        let accept = steps(&|small, large| micros(large.processor.saturating_sub(small.processor)));
        self.report.chart(ACCEPT, accept_chart).add(&name, accept);
        if let [small, .., large] = &crowds[..] {
            let kernel = large.kernel_bytes.saturating_sub(small.kernel_bytes) as f64;
            let each = kernel / (large.clients - small.clients) as f64 / 1000.0;
            self.note(format!("Idle, {whose}: {each:.1} kB of kernel memory for each connection, both ends of it."));
        }
    }

    /// Processor time for each delivery, of the server and of the bare loop.
    fn growth_of_a_delivery(&mut self) {
        let hub = self.start_server(&[("MANGAHUB_TCP_BROADCAST_SCOPE", "all")]);
        let token = hub.as_ref().and_then(|hub| self.keep(token_of_a_new_user(hub), "registering a publisher"));
        let bare = self.keep(Ceiling::start(&self.places.ceiling, self.core), "the bare loop");
        let (Some(hub), Some(token), Some(bare)) = (hub, token, bare) else { return };
        let tokens = [token];
        let (sizes, pace, rounds) =
            (self.scale.growth, Pace::seconds(self.scale.seconds), self.scale.rounds.min(ROUNDS));
        let (mut of_hub, mut of_bare) = (Vec::new(), Vec::new());
        for &clients in sizes {
            let [mut hub_us, mut bare_us] = [Samples::default(), Samples::default()];
            for _ in 0..rounds {
                let mut bytes = 0.0;
                hub_us.take(|| {
                    let message = Message::Progress { manga: UNKNOWN_SERIES.to_owned(), stored: false };
                    let ready = fanout::ready(hub.tcp()?, &tokens, clients, IN_FLIGHT, message)?;
                    let (cost, length) = delivery(hub.pid(), ready, pace)?;
                    bytes = length;
                    Ok(cost)
                });
                bare_us.take(|| {
                    let ready = fanout::ready_raw(bare.address, bytes as usize, clients, IN_FLIGHT)?;
                    delivery(bare.pid(), ready, pace).map(|(cost, _)| cost)
                });
            }
            of_hub.extend(self.settle(hub_us).map(|cost| [clients as f64, cost]));
            of_bare.extend(self.settle(bare_us).map(|cost| [clients as f64, cost]));
        }
        let chart = self.report.chart(DELIVERY, delivery_chart);
        chart.add(SERVER, of_hub);
        chart.add(CEILING, of_bare);
    }
}

/// Lets connections in, up to each of `sizes`, and looks at the server when it has come to rest.
fn grow(hub: &MangaHub, sizes: &[usize], users: usize) -> Result<Vec<Crowd>, LoadError> {
    let most = sizes.last().copied().unwrap_or_default();
    let tokens = forge_tokens(&hub.secret, users.min(most))?;
    let mut swarm = Swarm::new(hub.tcp()?)?;
    let mut crowds = Vec::new();
    for clients in [FIRST].into_iter().chain(sizes.iter().copied()) {
        let more = clients - swarm.len();
        log_in_all(&mut swarm, more, &tokens)?;
        let memory_bytes = settled_rss_anon_bytes(hub.pid())?;
        let (kernel_bytes, processor) = (slab_bytes()?, processor_time(hub.pid())?);
        crowds.push(Crowd { clients, memory_bytes, kernel_bytes, processor });
    }
    Ok(crowds)
}

/// The processor time of `pid` for one delivery, in microseconds, and the length of what was delivered.
fn delivery(pid: u32, ready: Loop, pace: Pace) -> Result<(f64, f64), LoadError> {
    let before = processor_time(pid)?;
    let FanOut { deliveries, message_bytes, .. } = ready.measure(pace)?;
    let used = processor_time(pid)?.saturating_sub(before);
    Ok((micros(used) / deliveries.max(1) as f64, message_bytes))
}

/// What the kernel keeps in small pieces: sockets are among them, and on an idle machine little else changes.
fn slab_bytes() -> Result<u64, LoadError> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").doing("read the kernel's memory")?;
    slab_of(&meminfo).ok_or_else(|| LoadError::Wrong("the kernel does not tell its memory".to_owned()))
}

fn slab_of(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("Slab:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn memory_chart() -> Chart {
    let about = "The server's anonymous memory with so many idle authenticated connections. A straight line means that \
                 each costs the same.";
    Chart::lines(MEMORY, about, "connections", "user-space memory in MiB")
}

fn idle_chart() -> Chart {
    let about = "What each connection more added, since the size before. Tables grow by doubling, hence the steps.";
    Chart::lines(IDLE, about, "connections", "bytes of user space per connection")
}

fn accept_chart() -> Chart {
    let about = "The server's processor time to accept, authenticate and welcome one client, since the size before.";
    Chart::lines(ACCEPT, about, "connections", "microseconds per client")
}

fn delivery_chart() -> Chart {
    let about = "The processor time of one delivery in a fan-out, 16 messages in flight. One event loop stays level.";
    Chart::lines(DELIVERY, about, "receiving connections", "microseconds per delivery")
}

/// Titles.
const MEMORY: &str = "Memory against connections";
const IDLE: &str = "Growth: memory of one idle connection";
const ACCEPT: &str = "Growth: cost of one accept";
const DELIVERY: &str = "Growth: cost of one delivery";

/// A small crowd before the first size, so that what the first connection of all allocates falls out.
const FIRST: usize = 100;

/// Enough that a write carries several messages, as under load.
const IN_FLIGHT: usize = 16;

/// Fewer than elsewhere: processor time is disturbed less by neighbours than rates are.
const ROUNDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the kernel's memory is read in bytes, and that a kernel that does not tell is no nought.
    #[test]
    fn slab() {
        assert_eq!(slab_of("MemTotal:  100 kB\nSlab:            2 kB\nSReclaimable: 1 kB\n"), Some(2048));
        assert_eq!(slab_of("MemTotal: 100 kB\n"), None);
    }
}
