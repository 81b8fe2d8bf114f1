//! The loop over a kernel in memory: what must hold whatever the kernel, the workers and the
//! clients do. No thread, no socket, no real time; the same seed is the same run.

mod sim;

use mangahub::handlers::effect::CloseReason;
use mangahub::reactor::ReactorLimits;
use mangahub::reactor::inbox::Wakeup;
use mangahub::reactor::pool::LaneBounds;
use sim::board::Desk;

/// A little more than a closing connection waits for its peer.
const LINGER_MS: u64 = 1200;

fn desk() -> Desk {
    Desk::new(ReactorLimits::default(), LaneBounds::SMALL)
}

/// Events of several topics reach a member in the order in which they were published, across turns
/// and topics, and each once.
#[test]
fn events_keep_their_order_across_topics() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "join a b");
    desk.send(teller, "tell a 1;tell b 2;tell b 3;tell a 4");
    desk.send(teller, "tell b 5\ntell a 6");
    assert_eq!(desk.lines(reader), ["1", "2", "3", "4", "5", "6"]);
}

/// A member hears nothing before the answer that made it one has left for the kernel: what is
/// published while that answer is still owed is not for it.
#[test]
fn joining_waits_until_the_answer_is_written() {
    let mut desk = desk();
    desk.net.set_faults(|faults| faults.send_bytes_max = 4);
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "say welcome;join a");
    desk.send(teller, "tell a early");
    assert_eq!(desk.lines(reader), ["welcome"]);
    desk.send(teller, "tell a now");
    assert_eq!(desk.lines(reader), ["now"]);
}

/// Only the answer that makes a member counts: what is owed to it for other questions does not keep
/// it from hearing what happens, behind those answers.
#[test]
fn joining_waits_for_nothing_else() {
    let mut desk = desk();
    desk.net.set_faults(|faults| faults.send_bytes_max = 8);
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "say welcome;join a\nsay and more");
    desk.send(teller, "tell a now");
    assert_eq!(desk.lines(reader), ["welcome", "and more", "now"]);
}

/// A living connection changes its topics in the order in which things happen: what was published
/// before it entered is not for it, what was published before it left still is.
#[test]
fn entering_and_leaving_keep_their_place() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "enter a");
    desk.send(teller, "tell a 1");
    desk.send(reader, "tell b unheard;say between;enter b;tell b 2;leave a;tell a unheard");
    desk.send(teller, "tell a unheard;tell b 3");
    assert_eq!(desk.lines(reader), ["1", "between", "2", "3"]);
    desk.shut_until_ms.set(desk.net.mono_ms() + 500);
    desk.send(teller, "tell b 4");
    desk.send(reader, "leave b;enter c");
    desk.send(teller, "tell b unheard;tell c 5");
    desk.pass(500);
    assert_eq!(desk.lines(reader), ["4", "5"]);
    desk.send(reader, "bye");
    desk.net.half_close(reader);
    desk.pass(LINGER_MS);
    assert_eq!(desk.reactor.topics(), 0);
}

/// While a topic may not be told, its events wait with all behind them, and come in order as soon
/// as it may, without anything else having to happen.
#[test]
fn a_deferred_publish_keeps_the_order() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "join a b");
    desk.shut_until_ms.set(desk.net.mono_ms() + 500);
    desk.send(teller, "tell a 1;tell b 2");
    desk.send(teller, "tell a 3");
    assert_eq!(desk.lines(reader), Vec::<String>::new());
    desk.pass(500);
    assert_eq!(desk.lines(reader), ["1", "2", "3"]);
}

/// A turn's events of one topic reach a member in one write, although each came with a reply of its
/// own that says nothing.
#[test]
fn a_turns_events_are_one_write() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "join a");
    let lines: Vec<String> = (0..64).map(|number| format!("write tell a {number};hush")).collect();
    desk.send(teller, &lines.join("\n"));
    let jobs = desk.take_jobs();
    assert_eq!(jobs.len(), 64);
    let before = desk.net.calls();
    desk.done(jobs);
    assert_eq!(desk.net.calls() - before, 1);
    assert_eq!(desk.lines(reader).len(), 64);
}

/// A client that pipelines hears of what it caused before it is answered what it asked next, and
/// even when it has closed its side meanwhile.
#[test]
fn replies_stay_behind_what_was_caused_before() {
    let mut desk = desk();
    let teller = desk.client();
    desk.send(teller, "join a");
    desk.send(teller, "write tell a told\nsay answered");
    desk.shut_until_ms.set(desk.net.mono_ms() + 500);
    desk.work();
    assert_eq!(desk.lines(teller), Vec::<String>::new());
    desk.send(teller, "write tell a last");
    desk.net.half_close(teller);
    desk.settle();
    desk.work();
    desk.pass(500);
    assert_eq!(desk.lines(teller), ["told", "answered", "last"]);
    assert!(desk.net.has_ended(teller));
}

/// A panic in a call, in what follows a job, in the refusal of a job and in a look inside is answered, ends its own
/// connection, and nobody else's.
#[test]
fn a_panic_ends_one_connection_only() {
    let mut desk = Desk::new(ReactorLimits::default(), LaneBounds { write: 1, ..LaneBounds::SMALL });
    let (bystander, clients) = (desk.client(), [desk.client(), desk.client(), desk.client(), desk.client()]);
    desk.send(clients[0], "panic");
    desk.send(clients[1], "write panic");
    desk.send(clients[2], "write panic");
    desk.send(clients[3], "ask panic");
    desk.work();
    for client in clients {
        assert_eq!(desk.lines(client), ["our fault"]);
        assert!(desk.net.has_ended(client));
    }
    desk.send(bystander, "say well");
    assert_eq!(desk.lines(bystander), ["well"]);
    assert_eq!((desk.closes(CloseReason::Internal), desk.reactor.stats().panics), (0, 4));
    desk.pass(LINGER_MS);
    assert_eq!((desk.closes(CloseReason::Internal), desk.reactor.connections()), (4, 1));
}

/// What was stored is told although the one who asked for it has gone, and its slot is another's.
#[test]
fn the_job_of_a_lost_connection_still_publishes() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "join a");
    desk.send(teller, "write tell a stored;say stored");
    desk.net.abort(teller);
    desk.settle();
    let stranger = desk.client();
    desk.work();
    assert_eq!(desk.lines(reader), ["stored"]);
    assert_eq!(desk.lines(stranger), Vec::<String>::new());
    assert_eq!(desk.reactor.jobs(), 0);
}

/// A full lane is answered at once, and the answer does not overtake those that are outstanding.
#[test]
fn a_full_lane_is_answered_in_order() {
    let mut desk = Desk::new(ReactorLimits::default(), LaneBounds { write: 2, ..LaneBounds::SMALL });
    let (client, other) = (desk.client(), desk.client());
    desk.send(client, "write say 1\nwrite say 2\nwrite say 3\nwrite say 4");
    desk.send(other, "write say 5");
    assert_eq!(desk.lines(other), ["busy"]);
    while desk.reactor.jobs() > 0 {
        desk.work();
    }
    assert_eq!(desk.lines(client), ["1", "2", "busy", "4"]);
}

/// When too much is held, the largest holder goes, and only as many as it takes.
#[test]
fn memory_pressure_closes_the_largest() {
    let limits = ReactorLimits { recv_bytes_total: 100_000, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    let clients: Vec<_> = (0..8).map(|_| desk.client()).collect();
    for (place, client) in clients.iter().enumerate() {
        desk.net.send(*client, &vec![b'x'; 10_000 + place * 1000]);
        desk.settle();
    }
    assert_eq!(desk.closes(CloseReason::MemoryPressure), 1);
    assert!(desk.net.has_ended(clients[7]) && clients[..7].iter().all(|client| !desk.net.has_ended(*client)));
}

/// A member that takes nothing is closed when it is owed too much, and nobody else waits for it.
#[test]
fn a_slow_consumer_delays_nobody() {
    let limits = ReactorLimits { send_bytes_max: 10_000, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    desk.net.set_faults(|faults| faults.send_bytes_max = 2000);
    let (slow, quick, teller) = (desk.client(), desk.client(), desk.client());
    desk.send(slow, "join a");
    desk.send(quick, "join a");
    let news = "n".repeat(999);
    for _ in 0..20 {
        desk.send(teller, &format!("tell a {news}"));
        assert_eq!(desk.lines(quick), [news.as_str()]);
    }
    assert_eq!((desk.closes(CloseReason::SlowConsumer), desk.reactor.connections()), (1, 2));
    assert!(desk.net.has_ended(slow) || desk.net.receive(slow, usize::MAX).len() == 2000);
}

/// A member of frames that takes nothing is owed its goodbye alone, behind what has begun to leave: 1013,
/// whether it is owed too many messages or too many bytes. The others hear everything at once.
#[test]
fn a_slow_member_is_told_to_come_back() {
    for (news, rounds) in [("n".repeat(100), 300), ("n".repeat(9_000), 12)] {
        let limits = ReactorLimits { send_bytes_max: 100_000, ..ReactorLimits::default() };
        let mut desk = Desk::new(limits, LaneBounds::SMALL);
        desk.net.set_faults(|faults| faults.send_bytes_max = 2050);
        let (slow, quick, teller) = (desk.client(), desk.client(), desk.client());
        desk.send(slow, "upgrade;enter a");
        desk.send(quick, "join a");
        for _ in 0..rounds {
            desk.send(teller, &format!("tell a {news}"));
            assert_eq!(desk.lines(quick), [news.as_str()]);
        }
        assert!(desk.reactor.held().1 < 20_000, "nothing is kept for it");
        let heard = desk.bytes(slow);
        assert_eq!(heard[heard.len() - 4..], [0x88, 2, 0x03, 0xf5]);
        let frame_bytes = news.len() + if news.len() < 126 { 2 } else { 4 };
        assert_eq!((heard.len() - 4) % frame_bytes, 0, "whole frames before it");
        desk.pass(LINGER_MS);
        assert_eq!((desk.closes(CloseReason::SlowConsumer), desk.reactor.connections()), (1, 2));
    }
}

/// A busy turn is nobody's fault: more messages at once than may be owed are told to all who take them.
#[test]
fn a_burst_closes_nobody() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "upgrade;enter a");
    desk.send(teller, &vec!["tell a 1"; 1000].join(";"));
    assert_eq!(desk.bytes(reader), b"\x81\x011".repeat(1000));
    assert_eq!(desk.closes(CloseReason::SlowConsumer), 0);
}

/// What came behind the request for an upgrade belongs to the new wire, in one piece or byte by byte.
#[test]
fn bytes_behind_an_upgrade_are_kept() {
    let mut desk = desk();
    let client = desk.client();
    desk.net.send(client, b"upgrade\n\x81\x86\0\0\0\0say hi\x89\x80\0\0\0\0\x88\x80\0\0\0\0\x81\x86\0\0\0\0say no");
    desk.settle();
    assert_eq!(desk.bytes(client), b"\x81\x02hi\x8a\x00\x88\x02\x03\xe8");
    desk.pass(LINGER_MS);
    assert_eq!((desk.closes(CloseReason::Goodbye), desk.reactor.connections()), (1, 0));
}

/// What was asked before a goodbye is answered before ours.
#[test]
fn a_goodbye_waits_for_answers() {
    let mut desk = desk();
    let client = desk.client();
    desk.send(client, "upgrade");
    desk.send_text(client, "write say done");
    desk.net.send(client, b"\x88\x80\0\0\0\0");
    desk.settle();
    assert_eq!(desk.bytes(client), b"");
    desk.work();
    assert_eq!(desk.bytes(client), b"\x81\x04done\x88\x02\x03\xe8");
}

/// A silent client is asked after its time and closed when it does not answer; whoever answers or
/// says anything is asked again later.
#[test]
fn the_silent_are_asked_and_the_deaf_are_closed() {
    let mut desk = desk();
    let (deaf, lively) = (desk.client(), desk.client());
    desk.send(deaf, "upgrade");
    desk.send(lively, "upgrade");
    desk.pass(30_000);
    desk.send_text(lively, "hush");
    desk.pass(24_100);
    assert_eq!((desk.bytes(deaf), desk.bytes(lively)), (b"\x89\0".to_vec(), Vec::new()));
    desk.pass(6_100);
    assert_eq!(desk.bytes(deaf)[..2], [0x81, 8], "too late");
    desk.pass(LINGER_MS);
    assert_eq!(desk.closes(CloseReason::IdleTimeout), 1);
    desk.pass(24_000);
    for _ in 0..3 {
        assert_eq!(desk.bytes(lively), b"\x89\0");
        desk.net.send(lively, b"\x8a\x80\0\0\0\0");
        desk.settle();
        desk.pass(54_100);
    }
    assert_eq!(desk.reactor.connections(), 1);
}

/// Evicting a topic ends its members and the one whose membership waits for its answer to be read.
#[test]
fn evicting_leaves_nobody_of_a_topic() {
    let mut desk = desk();
    let (member, joining, other) = (desk.client(), desk.client(), desk.client());
    desk.send(member, "join a");
    desk.net.set_faults(|faults| faults.send_bytes_max = 1);
    desk.send(joining, "say hello;join a");
    desk.net.set_faults(|faults| faults.send_bytes_max = 1000);
    desk.send(other, "evict a");
    assert_eq!(desk.lines(joining), ["hello"]);
    desk.pass(LINGER_MS);
    assert_eq!((desk.closes(CloseReason::Revoked), desk.reactor.connections()), (2, 1));
    assert_eq!(desk.reactor.topics(), 0);
}

/// A job that never comes back ends its connection with a word, and a draining server does not
/// wait for it longer than it said.
#[test]
fn a_lost_job_ends_its_connection_and_not_the_drain() {
    let limits = ReactorLimits { job_timeout_ms: 5000, drain_ms: 3000, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    let client = desk.client();
    desk.send(client, "write say never");
    drop(desk.take_jobs());
    desk.pass(5100);
    assert_eq!(desk.lines(client), ["too late"]);
    desk.pass(LINGER_MS);
    assert_eq!((desk.closes(CloseReason::JobTimeout), desk.reactor.connections()), (1, 0));
    desk.door.send(Wakeup::Drain);
    desk.settle();
    assert!(desk.reactor.is_draining());
    desk.pass(3000);
    assert!(desk.reactor.is_stopped());
}

/// A connection whose jobs are all answered in time is not ended because there is always one more.
#[test]
fn a_steady_pipeline_is_not_a_lost_job() {
    let limits = ReactorLimits { job_timeout_ms: 5000, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    let client = desk.client();
    for number in 0..20 {
        desk.send(client, "write say done");
        if number > 0 {
            let oldest = desk.queues.write.try_next_group(1).expect("one is always waiting");
            desk.done(oldest);
        }
        desk.pass(1000);
    }
    assert_eq!(desk.lines(client).len(), 19);
    assert_eq!(desk.reactor.connections(), 1);
}

/// Answers beyond a turn's share come in the next turns, at once: nobody has to wake the loop.
#[test]
fn no_finished_job_is_slept_on() {
    let limits = ReactorLimits { completions_per_turn: 1, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    let client = desk.client();
    desk.send(client, "write say 1\nwrite say 2\nwrite say 3");
    let jobs = desk.take_jobs();
    desk.door.send(Wakeup::Done(jobs));
    while desk.reactor.jobs() > 0 {
        desk.reactor.turn().unwrap();
        assert_eq!(desk.net.waited().timeout_ms, Some(0), "it slept on {} jobs", desk.reactor.jobs());
    }
    assert_eq!(desk.lines(client), ["1", "2", "3"]);
}

/// A peer that was not read because it took nothing is read on as soon as it has taken everything:
/// what it sent meanwhile makes no new event, its end of stream neither.
#[test]
fn reading_goes_on_when_what_was_owed_is_taken() {
    let limits = ReactorLimits { send_bytes_max: 4000, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    desk.net.set_faults(|faults| faults.send_bytes_max = 100);
    let (client, leaver) = (desk.client(), desk.client());
    for id in [client, leaver] {
        desk.send(id, "fill 3000");
    }
    desk.send(client, "say after");
    desk.net.half_close(leaver);
    desk.settle();
    assert_eq!(desk.lines(client).last().map(String::as_str), Some("after"));
    assert_eq!(desk.lines(leaver).len(), 1);
    assert_eq!(desk.closes(CloseReason::PeerClosed), 1);
}

/// Long answers don't pile up until the end of the turn, whether bytes or jobs brought them: they leave while the
/// turn goes on.
#[test]
fn a_turns_long_answers_are_not_all_held_at_once() {
    let mut desk = desk();
    let clients: Vec<_> = (0..200).map(|_| desk.client()).collect();
    let most_owed = |desk: &mut Desk| {
        let lines = clients.iter().filter_map(|client| desk.lines(*client).pop());
        lines.map(|owed| owed.parse::<usize>().unwrap()).max().unwrap()
    };
    for client in &clients {
        desk.net.send(*client, b"fill 16384;ask owed\n");
    }
    desk.settle();
    assert!((200_000..300_000).contains(&most_owed(&mut desk)));
    for client in &clients {
        desk.send(*client, "read fill 16384;ask owed");
    }
    let jobs = desk.take_jobs();
    assert_eq!(jobs.len(), clients.len());
    desk.done(jobs);
    assert!((200_000..300_000).contains(&most_owed(&mut desk)));
}

/// Accepting goes on by itself when descriptors are there again: nobody has to connect for it.
#[test]
fn accepting_resumes_after_descriptors_ran_out() {
    let mut desk = desk();
    desk.net.set_faults(|faults| faults.streams_max = 2);
    let clients: Vec<_> = (0..3).map(|_| desk.client()).collect();
    desk.pass(60_000);
    assert_eq!(desk.reactor.connections(), 2);
    desk.net.half_close(clients[0]);
    desk.settle();
    desk.pass(1000);
    desk.send(clients[2], "say here");
    assert_eq!(desk.lines(clients[2]), ["here"]);
}

/// However many come at once, there are never more than the bound and the few who are told so.
#[test]
fn a_storm_stays_within_the_bound() {
    let limits = ReactorLimits { connections_max: 10, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    let clients: Vec<_> = (0..200).map(|_| desk.net.connect(0)).collect();
    let mut most = 0;
    for _ in 0..20 {
        desk.reactor.turn().unwrap();
        most = most.max(desk.reactor.connections());
    }
    assert!((11..=10 + 64).contains(&most), "{most}");
    for client in &clients {
        desk.net.half_close(*client);
    }
    desk.settle();
    desk.pass(1000);
    assert_eq!(desk.reactor.connections(), 0);
}

/// While somebody waits to be accepted, a turn serves a few and then accepts: a long turn would let
/// the kernel's queue overflow, and whoever is dropped there waits a second.
#[test]
fn who_waits_outside_is_accepted_between_the_served() {
    let mut desk = desk();
    let clients: Vec<_> = (0..200).map(|_| desk.client()).collect();
    for client in &clients {
        desk.net.send(*client, b"say hello\n");
    }
    let served = |desk: &Desk| clients.iter().filter(|client| !desk.net.receive(**client, 64).is_empty()).count();
    let latecomer = desk.net.connect(0);
    desk.reactor.turn().unwrap();
    assert_eq!((served(&desk), desk.reactor.connections()), (64, 201));
    desk.reactor.turn().unwrap();
    assert_eq!(served(&desk), 136, "nobody waits outside, so everybody is served");
    desk.send(latecomer, "say me too");
    assert_eq!(desk.lines(latecomer), ["me too"]);
}

/// Datagrams go out in their order, however little the kernel takes at a time; when too many wait, the
/// newest are dropped and counted, and what comes after there is room again goes out.
#[test]
fn a_full_queue_drops_the_newest_datagrams() {
    let limits = ReactorLimits { datagrams_queued: 10, datagrams_per_turn: 3, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    desk.net.set_faults(|faults| faults.send_bytes_max = 600);
    desk.post(7, "count 25");
    let numbers = |posted: Vec<(u16, String)>| posted.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(numbers(desk.posted()), (1..=10).map(|number| number.to_string()).collect::<Vec<_>>());
    let stats = desk.reactor.stats();
    assert_eq!((stats.datagrams, stats.datagrams_dropped), ((1, 10), 15));
    desk.post(8, "count 2");
    assert_eq!(desk.posted(), [(8, "1".to_owned()), (8, "2".to_owned())]);
}

/// A socket that only reports errors does not keep the loop awake: it is tried again a second later, and
/// heard when it works.
#[test]
fn a_broken_socket_is_left_alone() {
    let mut desk = desk();
    desk.net.break_port(0, true);
    desk.post(7, "count 1");
    let tried = desk.reactor.stats().datagram_errors;
    assert!((1..=100).contains(&tried), "it was tried {tried} times");
    desk.pass(1000);
    assert!((tried + 1..=tried + 100).contains(&desk.reactor.stats().datagram_errors));
    desk.net.break_port(0, false);
    desk.pass(1000);
    assert_eq!(desk.posted(), [(7, "1".to_owned())]);
}

/// Many datagrams that arrive at once are all handled, within the budget of each turn; one that makes a
/// handler panic is nobody else's concern; one that is too long has been cut.
#[test]
fn datagrams_are_handled_within_a_budget() {
    let limits = ReactorLimits { datagrams_per_turn: 64, ..ReactorLimits::default() };
    let mut desk = Desk::new(limits, LaneBounds::SMALL);
    for port in 1..=1000 {
        let from = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        desk.net.send_datagram(0, from, if port == 500 { b"panic" } else { b"count 1" });
    }
    desk.reactor.turn().unwrap();
    assert_eq!(desk.reactor.stats().datagrams, (64, 64));
    desk.settle();
    assert_eq!(desk.posted().len(), 999);
    assert_eq!(desk.reactor.stats().panics, 1);
    desk.post(7, &format!("long {}", "x".repeat(10_000)));
    assert_eq!(desk.posted(), [(7, "4097".to_owned())]);
}

/// An address that registered hears a topic's events in their order beside the connections that do, and
/// the server ends without waiting for it.
#[test]
fn addresses_hear_what_connections_hear() {
    let mut desk = desk();
    let (reader, teller) = (desk.client(), desk.client());
    desk.send(reader, "join a");
    (7..=8).for_each(|port| desk.post(port, "hear a"));
    desk.send(teller, "tell a 1;tell a 2");
    assert_eq!(desk.lines(reader), ["1", "2"]);
    let each = |text: &str| [(7, text.to_owned()), (8, text.to_owned())];
    assert_eq!(desk.posted(), [each("1"), each("2")].concat());
    desk.door.send(Wakeup::Drain);
    desk.settle();
    desk.pass(LINGER_MS);
    assert!(desk.reactor.is_stopped());
}

/// Somebody far away is told what they missed as they pay for it, with room for few datagrams and for many.
#[test]
fn what_is_not_paid_for_is_not_lost() {
    (0..8).for_each(sim::posts::hear_what_was_missed);
}

/// Whatever the kernel, the workers and the clients do: every honest client is answered, in order
/// and once; every event reaches every member; nothing is leaked; and draining ends.
///
/// `MANGAHUB_SIM_SEED=N` repeats one run, `MANGAHUB_SIM_SEEDS=N` does so many.
#[test]
fn whatever_happens_everybody_is_served() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("MANGAHUB_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MANGAHUB_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| sim::checks::run(seed)) {
            eprintln!("repeat with MANGAHUB_SIM_SEED={seed}; it failed in turn {}", sim::checks::STEP.get());
            std::panic::resume_unwind(panic);
        }
    }
}

/// How many runs a usual test makes.
const SEEDS: u64 = 100;
