//! The claims about chat over WebSocket and notifications over UDP.
//!
//! The bare loops carry messages of the server's own length: what a room hears, and what an address is sent.

use super::duel::{Duel, duel};
use super::{Pairs, Samples, Suite, WAITS};
use crate::drive::Meter;
use crate::error::LoadError;
use crate::message::Message;
use crate::report::chart::{CEILING, SERVER};
use crate::report::{Row, Verdict, count, verdict};
use crate::scenario::chat::{self, Chat, Rooms};
use crate::scenario::{Pace, fanout, greet, members, udp};
use crate::server::{Ceiling, MangaHub};
use crate::stats::median;
use crate::token::{forge_tokens, forge_with_one_registered};

impl Suite<'_> {
    /// A room in which one speaks, and the bare loop with as many receivers of the same frames: with every message
    /// on the disk before anyone hears it, and with a store that survives the end of the process alone. Beside the
    /// first, a bare loop that syncs before it sends tells what of the difference is the disk's.
    pub fn chat(&mut self) {
        let (places, core) = (self.places, self.core);
        let bare = self.keep(Ceiling::start(&places.ceiling, core), "the bare loop");
        let journal = self.keep(Ceiling::start_journal(&places.ceiling, core, &places.data), "the bare loop");
        let synced = self.room(&[]);
        self.chat_beside("on the disk first", synced.as_ref(), bare.as_ref(), Some(CHAT_FLOOR));
        let beside = "on the disk first, beside a bare loop that syncs a file first";
        self.chat_beside(beside, synced.as_ref(), journal.as_ref(), None);
        drop(synced);
        let normal = self.room(&[("MANGAHUB_STORE_SYNCHRONOUS", "normal")]);
        self.chat_beside("store.synchronous = normal", normal.as_ref(), bare.as_ref(), Some(CHAT_FLOOR));
    }

    /// A server with a room of as many as hear a fan-out.
    fn room(&mut self, settings: &[(&str, &str)]) -> Option<(MangaHub, Room)> {
        let hub = self.start_server(settings)?;
        let room = self.keep(prepare_room(&hub, self.scale.fan_out_clients), "a room")?;
        let members = count(room.tokens.len() as f64);
        self.note(format!("Chat, frames of {} bytes: {members} members {}.", room.frame_bytes, room.joined));
        Some((hub, room))
    }

    fn chat_beside(&mut self, how: &str, room: Option<&(MangaHub, Room)>, bare: Option<&Ceiling>, floor: Option<f64>) {
        for &in_flight in CHATS {
            let members = count(self.scale.fan_out_clients as f64);
            let work = format!("a chat message to {members} members, {in_flight} in flight, {how}");
            let taken = room.zip(bare).map(|((hub, room), bare)| self.talk(hub, bare, room, in_flight));
            let Duel { rates, server_ns, other_ns } =
                taken.and_then(|taken| self.keep(taken, &work)).unwrap_or_default();
            if let Some((server, other)) = median(&server_ns).zip(median(&other_ns)) {
                self.note(format!("Processor time of a delivery, {work}: {server:.0} ns, bare {other:.0} ns."));
            }
            for (peer, samples) in [(CEILING, &rates.other), (SERVER, &rates.server)] {
                let title = "Latency: a chat message to all members";
                self.plot_latency(title, &format!("{peer}, {in_flight} in flight, {how}"), &samples.latencies);
            }
            let settled = self.settle_pairs(rates);
            self.report.rows.push(ratio_row(work, settled, "deliveries/s", floor));
        }
    }

    /// The room and the bare loop in turn. What was said is looked for in the store afterwards.
    fn talk(&self, hub: &MangaHub, bare: &Ceiling, room: &Room, in_flight: usize) -> Result<Duel, LoadError> {
        let rooms = Rooms::one(CONTENT_BYTES, in_flight);
        let (clients, _) = chat::ready(hub.http()?, &room.tokens, &rooms)?;
        let mut server = self.side(clients, hub.pid());
        let heard = Message::Heard { bytes: room.frame_bytes };
        let clients = fanout::ready_bare(bare.address, room.tokens.len(), in_flight, heard)?;
        let mut bare = self.side(clients, bare.pid());
        let duel = duel(&mut server, &mut bare, self.scale.slices, self.slice());
        if duel.rates.server.failure.is_none() {
            chat::verify(hub.http()?, &room.tokens, &rooms, &server.clients.messages())?;
        }
        Ok(duel)
    }

    /// What an idle member of a room costs in memory. Something has been said there before, so that everyone who
    /// joins is sent a history.
    pub fn members(&mut self) {
        let (from, to) = self.scale.members;
        let hub = self.start_server(&[]);
        let measured = hub.as_ref().map(|hub| {
            // A few messages only: the store's own memory is not to grow meanwhile.
            say(hub, &forge_with_one_registered(&hub.secret, hub.http()?, 2)?, &Rooms::one(CONTENT_BYTES, 1), 0.1)?;
            let tokens = forge_tokens(&hub.secret, to)?;
            members::run(hub.http()?, hub.pid(), &tokens, from)
        });
        let measured = measured.and_then(|measured| self.keep(measured, "idle members of a room"));
        if let Some(members) = &measured {
            let more = count((to - from) as f64);
            self.note(format!("{more} members more in one room: {}.", members.joined));
        }
        let bytes = measured.map(|members| members.idle.bytes_per_connection);
        self.report.rows.push(Row {
            work: format!(
                "one more idle member of a room, {} to {}, a different user each",
                count(from as f64),
                count(to as f64)
            ),
            number: bytes.map_or("not measured".to_owned(), |bytes| format!("{bytes:.0} bytes")),
            ratio: None,
            floor: format!("at most {} bytes of user space", count(MEMBER_BYTES_MAX)),
            verdict: bytes.map_or(Verdict::NotMeasured, |bytes| verdict(bytes <= MEMBER_BYTES_MAX)),
        });
    }

    /// Newcomers at a fixed rate, until the room's first message.
    pub fn greet(&mut self) {
        let hub = self.start_server(&[]);
        let (mut medians, mut p99s) = (Samples::default(), Vec::new());
        if let Some(hub) = &hub {
            let pace = Pace::seconds(self.scale.search_seconds);
            for _ in 0..self.scale.rounds {
                medians.take(|| {
                    let tokens = forge_tokens(&hub.secret, greet::GUESTS)?;
                    let wait = greet::run(hub.http()?, &tokens, GREETINGS_PER_SECOND, pace)?.wait;
                    p99s.push(wait.p99_ms);
                    Ok((wait.p50_ms, wait))
                });
            }
        }
        self.plot_latency(WAITS, "a WebSocket, to the room's first message", &medians.latencies);
        let p50 = self.settle(medians);
        let number = p50.zip(median(&p99s)).map(|(p50, p99)| format!("p50 {p50:.2} ms, p99 {p99:.2} ms"));
        self.report.rows.push(Row {
            work: format!("{GREETINGS_PER_SECOND} WebSocket handshakes a second, to the first message"),
            number: number.unwrap_or("not measured".to_owned()),
            ratio: None,
            floor: format!("median under {GREETING_MS} ms"),
            verdict: p50.map_or(Verdict::NotMeasured, |p50| verdict(p50 < GREETING_MS)),
        });
    }

    /// Notifications to many addresses, and the bare loop of datagrams.
    pub fn notify(&mut self) {
        let addresses = self.scale.udp_addresses;
        let hub = self.start_server(&[]);
        let peer = hub.as_ref().map(|hub| udp::Hub::connect(hub.udp()?, hub.internal()?));
        let mut peer = peer.and_then(|peer| self.keep(peer, "the internal listener"));
        let bare = self.keep(Ceiling::start_udp(&self.places.ceiling, self.core), "the bare loop of datagrams");
        let (mut rates, mut bytes) = (Pairs::default(), None);
        if let (Some(peer), Some(bare)) = (&mut peer, &bare) {
            let pace = Pace::seconds(self.scale.seconds);
            for _ in 0..self.scale.rounds {
                rates.server.take(|| {
                    let notified = udp::run(peer, addresses, pace)?;
                    bytes = Some(notified.datagram_bytes.round() as usize);
                    Ok((notified.datagrams_per_second, notified.latency))
                });
                // The length is known once the server has been measured.
                let Some(bytes) = bytes else { break };
                rates.other.take(|| {
                    let notified = udp::run(&mut udp::Bare::connect(bare.address, bytes)?, addresses, pace)?;
                    Ok((notified.datagrams_per_second, notified.latency))
                });
            }
        }
        for (peer, samples) in [(CEILING, &rates.other), (SERVER, &rates.server)] {
            self.plot_latency("Latency: a UDP notification to all addresses", peer, &samples.latencies);
        }
        let settled = self.settle_pairs(rates);
        let sent = bytes.map_or_else(String::new, |bytes| format!(" of {bytes} bytes"));
        let work = format!("a UDP notification{sent} to {} addresses", count(addresses as f64));
        self.report.rows.push(ratio_row(work, settled, "datagrams/s", Some(UDP_FLOOR)));
    }
}

/// Who is in a room, and what is heard there.
struct Room {
    tokens: Vec<String>,
    /// The length of a frame.
    frame_bytes: usize,
    joined: crate::join::Joined,
}

/// Fills a room once: its length of a message is what the bare loop then carries.
fn prepare_room(hub: &MangaHub, members: usize) -> Result<Room, LoadError> {
    let tokens = forge_with_one_registered(&hub.secret, hub.http()?, members)?;
    fill_log(hub, &tokens)?;
    let outcome = say(hub, &tokens, &Rooms::one(CONTENT_BYTES, 1), 0.1)?;
    Ok(Room { tokens, frame_bytes: outcome.said.message_bytes.round() as usize, joined: outcome.joined })
}

fn say(hub: &MangaHub, tokens: &[String], rooms: &Rooms, seconds: f64) -> Result<Chat, LoadError> {
    chat::run_in(hub.http()?, tokens, rooms, Pace::seconds(seconds), &Meter::HIDDEN)
}

/// Lets the database's log reach its full length, as it has in a server that has run for a while: until then every
/// commit waits for the file to grow as well.
fn fill_log(hub: &MangaHub, tokens: &[String]) -> Result<(), LoadError> {
    let two = &tokens[tokens.len().saturating_sub(2)..];
    for _ in 0..FILL_RUNS_MAX {
        if hub.log_bytes() >= LOG_BYTES {
            return Ok(());
        }
        say(hub, two, &Rooms::one(FILLING_BYTES, FILLING_IN_FLIGHT), 0.5)?;
    }
    Err(LoadError::TimedOut("the database's log does not fill".to_owned()))
}

/// The server's share of what a bare loop does (its rate, the bare loop's, and the share), and the claim about it if
/// there is one.
pub fn ratio_row(work: String, [server, bare, ratio]: [Option<f64>; 3], unit: &str, floor: Option<f64>) -> Row {
    let number = server.zip(bare).map(|(server, bare)| format!("{} {unit}, bare {}", count(server), count(bare)));
    let verdict = match (ratio, floor) {
        (None, _) => Verdict::NotMeasured,
        (Some(_), None) => Verdict::NoFloor,
        (Some(ratio), Some(floor)) => verdict(ratio >= floor),
    };
    Row {
        work,
        number: number.unwrap_or("not measured".to_owned()),
        ratio,
        floor: floor.map_or("–".to_owned(), |floor| format!("{floor} of the bare loop")),
        verdict,
    }
}

/// One message, which waits for its own commit, and some.
const CHATS: &[usize] = &[1, 16];

const CHAT_FLOOR: f64 = 0.9;

/// A little less than the 8,000 pages after which it begins anew.
const LOG_BYTES: u64 = 32_000_000;

/// Ten seconds.
const FILL_RUNS_MAX: usize = 20;

const FILLING_BYTES: usize = 1000;

const FILLING_IN_FLIGHT: usize = 64;

/// A sentence.
const CONTENT_BYTES: usize = 64;

const MEMBER_BYTES_MAX: f64 = 1024.0;

const GREETINGS_PER_SECOND: f64 = 100.0;
const GREETING_MS: f64 = 2.0;

const UDP_FLOOR: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a claim needs both peers, and is met by its share.
    #[test]
    fn a_share_needs_both_peers() {
        let row = |server, bare, ratio| ratio_row("w".to_owned(), [server, bare, ratio], "x/s", Some(0.8));
        assert_eq!(row(Some(80.0), Some(100.0), Some(0.8)).verdict, Verdict::Met);
        assert_eq!(row(Some(79.0), Some(100.0), Some(0.79)).verdict, Verdict::Missed);
        assert_eq!(row(Some(80.0), None, None).verdict, Verdict::NotMeasured);
        assert_eq!(row(None, Some(1.0), None).number, "not measured");
    }
}
