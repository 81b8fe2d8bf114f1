//! Checklist 6 and what goes with it: silence, fullness, and readers that are too slow.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mangahub::reactor::{PAUSE_SHARE, ReactorLimits};

use super::server::{DEADLINE, Echo, FLOOD_BYTES, Options, connect_narrow, echoes, owed, pattern, read_to_end, until};

/// What may be owed before a client is not read.
const PAUSE_BYTES: usize = 64 << 10;

/// More than all socket buffers between two ends hold on any system here.
const KERNEL_BYTES: usize = 16 << 20;

fn narrow() -> ReactorLimits {
    ReactorLimits { send_bytes_max: PAUSE_BYTES * PAUSE_SHARE, ..ReactorLimits::default() }
}

/// 6: silence ends a connection when its time is over, not before, and a byte starts it anew.
#[test]
fn an_idle_connection_is_closed() {
    let idle_ms = 2000;
    let echo = Echo::start(Options { idle_ms, ..Options::default() });
    let mut client = echo.connect();
    let began = Instant::now();
    // The silence begins when the last message has come, so after this.
    let mut last = began;
    while began.elapsed() < Duration::from_millis(3000) {
        last = Instant::now();
        echoes(&mut client, b"busy");
    }
    assert_eq!(read_to_end(&mut client), b"");
    assert!(last.elapsed() >= Duration::from_millis(1900), "too early: {:?}", last.elapsed());
    drop(client);
    echo.await_open(0);
}

/// 6: with no limit nobody is closed for silence while others, who have one, are.
#[test]
fn idle_zero_is_off() {
    let limited = Echo::start(Options { idle_ms: 300, ..Options::default() });
    let unlimited = Echo::start(Options::default());
    let mut patient = unlimited.connect();
    echoes(&mut patient, b"hello");
    read_to_end(&mut limited.connect());
    echoes(&mut patient, b"still here");
}

/// Who comes when the server is full is told so; when somebody leaves, there is room.
#[test]
fn a_full_server_says_so() {
    let limits = ReactorLimits { connections_max: 1, ..ReactorLimits::default() };
    let echo = Echo::start(Options { limits, ..Options::default() });
    let mut first = echo.connect();
    echoes(&mut first, b"hello");
    assert_eq!(read_to_end(&mut echo.connect()), b"full");
    echoes(&mut first, b"undisturbed");
    drop(first);
    echo.await_open(0);
    echoes(&mut echo.connect(), b"room again");
}

/// Who sends and does not read is not read either: what it is owed stays bounded however much it
/// sends, it is not closed for it, and in the end it gets every byte.
#[test]
fn a_slow_reader_is_paused_and_gets_every_byte() {
    for length in [32 << 10, 1 << 20, 32 << 20] {
        let echo = Echo::start(Options { limits: narrow(), ..Options::default() });
        let mut operator = echo.connect();
        let mut client = connect_narrow(echo.address());
        let sent = pattern(length);
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                // The last byte, and that it was the last, arrive while it is paused.
                writer.shutdown(Shutdown::Write).unwrap();
            });
            if length > KERNEL_BYTES {
                until("pause", DEADLINE, || owed(&mut operator) > 0);
                assert!(!writing.is_finished(), "it was not paused");
            }
            let most = PAUSE_BYTES + ReactorLimits::default().read_budget_bytes;
            let mut got = Vec::with_capacity(length);
            let mut piece = vec![0; 4096];
            while got.len() < length {
                let count = client.read(&mut piece).unwrap();
                assert_ne!(count, 0, "the server closed a slow reader after {} bytes", got.len());
                got.extend_from_slice(&piece[..count]);
                if got.len() % 64 == 0 {
                    assert!(owed(&mut operator) <= most);
                }
            }
            assert!(got == sent, "the echo differs");
            assert_eq!(client.read(&mut piece).unwrap(), 0);
        });
        drop(client);
        echo.await_open(1);
    }
}

/// A client that takes what it is owed, slowly, is not idle, though it says nothing.
#[test]
fn taking_slowly_is_not_idle() {
    let idle_ms = 1000;
    let echo = Echo::start(Options { idle_ms, limits: narrow(), ..Options::default() });
    let sent = pattern(2 * KERNEL_BYTES);
    let mut client = connect_narrow(echo.address());
    let mut writer = client.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&sent).unwrap());
        let mut got = Vec::with_capacity(sent.len());
        // Each question has a connection of its own: a silent operator would be closed, too.
        until("pause", DEADLINE, || owed(&mut echo.connect()) > 0);
        // Others' silence is the clock: three times the limit passes with the server blocked here.
        (0..3).for_each(|_| drop(read_to_end(&mut echo.connect())));
        let mut piece = vec![0; 64 << 10];
        while got.len() < sent.len() {
            let count = client.read(&mut piece).unwrap();
            assert_ne!(count, 0, "closed after {} bytes", got.len());
            got.extend_from_slice(&piece[..count]);
        }
        assert!(got == sent, "the echo differs");
    });
}

/// The last answer arrives whole, however slowly it is read, and then the end.
#[test]
fn a_last_answer_arrives_whole() {
    let echo = Echo::start(Options::default());
    let mut client = connect_narrow(echo.address());
    client.write_all(b"flood!").unwrap();
    assert!(read_to_end(&mut client) == pattern(FLOOD_BYTES));
}
