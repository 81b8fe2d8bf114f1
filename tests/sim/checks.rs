//! What must hold in the simulated world: after every turn, when all has calmed down, and at the end.

use mangahub::handlers::effect::CloseReason;
use mangahub::reactor::inbox::Wakeup;

use super::clients::{Kind, Leaving};
use super::world::World;

/// Runs a world from its first client to its last.
pub fn run(seed: u64) {
    let mut world = World::new(seed);
    let mut watch = Watch::default();
    for _ in 0..STEPS {
        world.disturb();
        watch.turn(&mut world);
    }
    if seed.is_multiple_of(4) {
        drain(world, watch);
        return;
    }
    calm_down(&mut world, &mut watch);
    everyone_heard_everything(&mut world);
    datagrams_are_answered(&mut world, &mut watch);
    everyone_leaves(&mut world, &mut watch);
}

/// What is remembered between turns.
#[derive(Default)]
struct Watch {
    turns: u64,
    idle_turns: u32,
    calls: u64,
}

impl Watch {
    fn turn(&mut self, world: &mut World) {
        self.turns += 1;
        STEP.set(self.turns);
        let before = fingerprint(world);
        world.reactor.turn().expect("the selector does not fail");
        let waited = world.net.waited();
        let spins = waited.quiet && waited.timeout_ms == Some(0) && fingerprint(world) == before;
        self.idle_turns = if spins { self.idle_turns + 1 } else { 0 };
        assert!(self.idle_turns < 3, "the loop spins");
        self.calls = world.net.calls();
        assert_eq!(world.reactor.connections(), world.net.open(), "connections and sockets differ");
        let most = world.limits.connections_max.saturating_add(64);
        assert!(world.reactor.connections() <= most, "more connections than there may be");
        let (received, owed) = world.reactor.held();
        assert!(received <= world.limits.recv_bytes_total && owed <= world.limits.send_bytes_total, "too much is held");
    }
}

/// What changes when a turn does anything at all.
fn fingerprint(world: &World) -> [u64; 9] {
    let stats = world.reactor.stats();
    let jobs = world.reactor.jobs() as u64;
    let (received, owed) = world.reactor.held();
    let open = world.reactor.connections() as u64;
    [
        world.net.calls(),
        stats.datagrams.0,
        stats.messages_in,
        stats.events,
        stats.jobs,
        jobs,
        received as u64,
        owed as u64,
        open,
    ]
}

/// Nothing more is sent; all that was must now be answered, without any new event to help.
fn calm_down(world: &mut World, watch: &mut Watch) {
    world.net.set_faults(|faults| {
        faults.chaos = false;
        faults.streams_max = usize::MAX;
    });
    let until_ms = world.net.mono_ms() + CALM_MS;
    while world.net.mono_ms() < until_ms {
        world.calm();
        watch.turn(world);
    }
}

fn everyone_heard_everything(world: &mut World) {
    let mut committed = world.committed(10_000);
    committed.sort_unstable();
    for client in &world.clients {
        // The kernel gave it up, or the server had no room. The latter is told, but a client that
        // still sends long after may not hear it.
        let full = world.end_of(client.id) == Some(CloseReason::TooMany);
        let dropped = full || world.net.was_refused(client.id);
        let waits_for = client.waits_for().filter(|_| !dropped);
        assert_eq!(waits_for, None, "client {} was never told; it ended by {:?}", client.id, world.end_of(client.id));
        let gone = client.left || dropped || !client.is_honest();
        let Some(joined_after) = client.joined_after.filter(|_| !gone) else { continue };
        assert!(!world.net.has_ended(client.id), "an honest client was closed");
        let due = committed.iter().filter(|seq| **seq > joined_after);
        let missed: Vec<_> = due.filter(|seq| client.heard.binary_search(seq).is_err()).collect();
        assert!(missed.is_empty(), "client {} did not hear {missed:?}", client.id);
        assert!(client.heard.iter().all(|seq| committed.binary_search(seq).is_ok()), "it heard what is not stored");
    }
}

/// A ping is answered to whoever sent it, and to nobody else.
fn datagrams_are_answered(world: &mut World, watch: &mut Watch) {
    let from = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    world.net.send_datagram(1, from, br#"{"type":"PING"}"#);
    watch.turn(world);
    let pongs = world.net.take_datagrams(1).into_iter().filter(|(_, bytes)| bytes == br#"{"type":"PONG"}"#);
    assert_eq!(pongs.map(|(to, _)| to).collect::<Vec<_>>(), [from]);
    let queued = world.limits.datagrams_queued;
    assert!(queued < 100 || world.reactor.stats().datagrams_dropped == 0, "datagrams were dropped for no reason");
}

/// Those who go are forgotten, and those who don't are closed in time: nothing is left.
fn everyone_leaves(world: &mut World, watch: &mut Watch) {
    for client in &mut world.clients {
        if matches!(client.kind, Kind::Line { v2: false } | Kind::Deaf) {
            client.leaving = Leaving::HalfClose;
            client.leave(&world.net);
        }
    }
    world.net.set_faults(|faults| faults.nap_ms_max = 5000);
    let until_ms = world.net.mono_ms() + 700_000;
    while world.net.mono_ms() < until_ms {
        world.calm();
        watch.turn(world);
    }
    let reactor = &world.reactor;
    assert_eq!((reactor.connections(), world.net.open(), reactor.topics()), (0, 0, 0), "somebody is left");
    assert_eq!(reactor.held(), (0, 0), "memory is left");
    let under_way = world.under_way() + world.lost;
    assert_eq!(reactor.jobs(), under_way, "jobs are left");
    assert_eq!(reactor.stats().panics, 0, "a handler panicked");
    let closes: u64 = reactor.stats().closes().map(|(_, count)| count).sum();
    assert_eq!(closes, reactor.stats().accepted, "an end was not counted");
}

/// The server drains in the middle of everything, and is done within its limit.
fn drain(mut world: World, mut watch: Watch) {
    world.door.send(Wakeup::Drain);
    let until_ms = world.net.mono_ms() + world.limits.drain_ms + 1000;
    while !world.reactor.is_stopped() {
        assert!(world.net.mono_ms() < until_ms, "draining takes too long");
        world.disturb();
        watch.turn(&mut world);
    }
    let (net, ids) = (world.net.clone(), world.clients.iter().map(|client| client.id).collect::<Vec<_>>());
    drop(world);
    for id in ids {
        net.receive(id, usize::MAX);
        assert!(net.has_ended(id), "a socket outlived the loop");
    }
    assert_eq!(net.open(), 0);
}

thread_local! {
    /// The turn that a failing run has come to.
    pub static STEP: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Turns of a run in which everything happens.
const STEPS: u64 = 2500;

/// How long everything may take to be answered once nothing is in its way, in virtual time: events
/// may have to wait for their rate.
const CALM_MS: u64 = 8000;
