//! Checklist 2, 3, 5, 7, 8 and 10: what clients do, alone, many, and badly.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::server::{DEADLINE, Echo, Options, PANICS, Seen, ask, connect, echoes, pattern, read_to_end, until};

/// 2: the counter follows one, two, three clients, and goes back to none.
#[test]
fn counts_one_two_three_and_none() {
    let echo = Echo::start(Options::default());
    let mut clients = Vec::new();
    for count in 1..=3 {
        clients.push(echo.connect());
        echo.await_open(count);
    }
    drop(clients);
    echo.await_open(0);
}

/// 2: ten and twenty that come and go at once leave nothing behind, and the next is served.
#[test]
fn rapid_open_and_close() {
    let echo = Echo::start(Options::default());
    for count in [10, 20] {
        (0..count).for_each(|_| drop(echo.connect()));
        until("everybody seen", DEADLINE, || closed(&echo) >= count);
        echo.await_open(0);
    }
    echoes(&mut echo.connect(), b"still there?");
}

/// 3: exact bytes come back, whatever they are.
#[test]
fn echoes_exact_bytes() {
    let echo = Echo::start(Options::default());
    let mut client = echo.connect();
    for length in [1, 2, 100, 4096, 65_535, 65_536, 65_537, 200_000] {
        echoes(&mut client, &pattern(length));
    }
    echoes(&mut client, &[0, 255, 10, 13, 0]);
}

/// 5: a panic in a handler ends its connection and nothing else.
#[test]
fn a_panic_does_not_stop_the_server() {
    let echo = Echo::start(Options::default());
    let mut bystander = echo.connect();
    echoes(&mut bystander, b"before");
    let mut client = echo.connect();
    client.write_all(b"panic!").unwrap();
    assert_eq!(read_to_end(&mut client), b"");
    drop(client);
    echoes(&mut bystander, b"after");
    echoes(&mut echo.connect(), b"and a new one");
    echo.await_open(1);
}

/// 5: nor does one in the hooks that tell of connections.
#[test]
fn a_panic_in_a_hook_does_not_stop_the_server() {
    let echo = Echo::start(Options { listeners: vec![None, None, None], ..Options::default() });
    let mut bystander = echo.connect();
    echoes(&mut bystander, b"before");
    let mut refused = connect(echo.handle.addresses()[usize::from(PANICS)]);
    assert_eq!(read_to_end(&mut refused), b"");
    let mut client = echo.connect();
    client.write_all(b"panic later!").unwrap();
    assert_eq!(read_to_end(&mut client), b"");
    drop(client);
    echo.await_open(1);
    echoes(&mut bystander, b"after");
}

/// 5: a client that vanishes with a reset does not disturb the others.
#[test]
fn an_abrupt_close_disturbs_nobody() {
    let echo = Echo::start(Options::default());
    let mut bystander = echo.connect();
    let mut client = echo.connect();
    echoes(&mut client, b"hello");
    // Closing with a linger of zero sends a reset.
    socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    client.write_all(&pattern(10_000)).unwrap();
    drop(client);
    echo.await_open(1);
    echoes(&mut bystander, b"undisturbed");
}

/// 7: the service is told who came through which listener, and who left.
#[test]
fn hooks_tell_who_came_and_left() {
    let echo = Echo::start(Options { listeners: vec![None, None], ..Options::default() });
    let mut client = connect(echo.handle.addresses()[1]);
    echoes(&mut client, b"hello");
    let from = client.local_addr().unwrap();
    assert_eq!(*echo.seen.lock().unwrap(), [Seen::Opened(1, from)]);
    drop(client);
    until("the end seen", DEADLINE, || closed(&echo) == 1);
    assert_eq!(*echo.seen.lock().unwrap(), [Seen::Opened(1, from), Seen::Closed(1, from)]);
}

/// 8: ten clients at once each get their own.
#[test]
fn ten_parallel_clients() {
    let echo = Echo::start(Options::default());
    std::thread::scope(|scope| {
        for number in 0..10u8 {
            let echo = &echo;
            scope.spawn(move || echoes(&mut echo.connect(), &[number; 5000]));
        }
    });
    echo.await_open(0);
}

/// 8: five clients with twenty messages each; nothing is mixed.
#[test]
fn no_mixing() {
    let echo = Echo::start(Options::default());
    std::thread::scope(|scope| {
        for client in 0..5 {
            let echo = &echo;
            scope.spawn(move || {
                let mut stream = echo.connect();
                (0..20).for_each(|message| echoes(&mut stream, format!("{client}:{message}").as_bytes()));
            });
        }
    });
}

/// 8: twenty are counted exactly, then none.
#[test]
fn twenty_are_counted() {
    let echo = Echo::start(Options::default());
    let mut clients: Vec<_> = (0..20).map(|_| echo.connect()).collect();
    clients.iter_mut().for_each(|client| echoes(client, b"here"));
    assert_eq!(echo.handle.open_connections(), 20);
    drop(clients);
    echo.await_open(0);
}

/// 8: fifty threads connect and close; nobody stays, and each was seen to come and go.
#[test]
fn fifty_parallel_connects() {
    let echo = Echo::start(Options::default());
    std::thread::scope(|scope| {
        (0..50).for_each(|_| drop(scope.spawn(|| drop(echo.connect()))));
    });
    until("everybody seen", DEADLINE, || closed(&echo) == 50);
    echo.await_open(0);
}

/// 8: other threads may look at the state while clients come and go.
#[test]
fn state_can_be_read_from_other_threads() {
    let echo = Echo::start(Options::default());
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let (handle, busy) = (&echo.handle, &busy);
        let watchers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let mut looks = 0;
                    while busy.load(Ordering::Relaxed) || looks == 0 {
                        assert!(handle.is_running() && !handle.is_gone() && handle.open_connections() <= 2);
                        looks += 1;
                    }
                })
            })
            .collect();
        for _ in 0..50 {
            echoes(&mut echo.connect(), b"hello");
            echo.await_open(0);
        }
        busy.store(false, Ordering::Relaxed);
        watchers.into_iter().for_each(|watcher| watcher.join().unwrap());
    });
}

/// 10: each connection has a session of its own, which begins anew with the next.
#[test]
fn a_session_belongs_to_its_connection() {
    let echo = Echo::start(Options::default());
    let (mut one, mut other) = (echo.connect(), echo.connect());
    echoes(&mut one, b"hello");
    assert_eq!(ask(&mut one, b"count?", 9).trim_ascii(), b"2");
    assert_eq!(ask(&mut other, b"count?", 9).trim_ascii(), b"1");
    drop(one);
    echo.await_open(1);
    assert_eq!(ask(&mut echo.connect(), b"count?", 9).trim_ascii(), b"1");
}

fn closed(echo: &Echo) -> usize {
    echo.seen.lock().unwrap().iter().filter(|seen| matches!(seen, Seen::Closed(..))).count()
}
