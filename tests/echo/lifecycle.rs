//! Checklist 1 to 4: creating, starting, stopping, and what is released.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mangahub::reactor::ReactorLimits;
use mangahub::reactor::net::{ListenOptions, MioListener};
use mangahub::reactor::start::LifeState;

use super::server::{Echo, Options, ask, echoes, plan, read_to_end, until};

/// How long an ordinary stop may take: less than a drain may, so that it did not wait for that limit.
const STOP: Duration = Duration::from_secs(8);

/// 1: what is no address can't be asked for, and an address of another machine is refused.
#[test]
fn creation_refuses_invalid_addresses() {
    assert!("".parse::<SocketAddr>().is_err());
    assert!("invalid-address".parse::<SocketAddr>().is_err());
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    assert!(MioListener::bind(elsewhere, ListenOptions::default()).is_err());
}

/// 1 and 2: created, it is bound and has nobody; started, it runs where it said.
#[test]
fn states_from_created_to_stopped() {
    let (server, ..) = plan(Options::default());
    assert_eq!(server.state(), LifeState::Created);
    let addresses = server.addresses().to_vec();
    assert_ne!(addresses[0].port(), 0);
    let handle = server.start().unwrap();
    assert!(handle.is_running() && !handle.is_gone());
    assert_eq!((handle.open_connections(), handle.addresses()), (0, &addresses[..]));
    handle.drain();
    until("end", STOP, || handle.is_gone() && !handle.is_running());
    handle.wait().unwrap();
}

/// 3: told to end before anything happened, it does not serve.
#[test]
fn ended_before_it_began() {
    let (server, ..) = plan(Options::default());
    let address = server.addresses()[0];
    let handle = server.start().unwrap();
    let remote = handle.remote();
    remote.stop();
    handle.wait().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

/// 3: stopping twice, and after the end, is harmless.
#[test]
fn double_stop_is_harmless() {
    let echo = Echo::start(Options::default());
    let remote = echo.handle.remote();
    echo.handle.drain();
    echo.handle.drain();
    echo.handle.wait().unwrap();
    remote.drain();
    remote.stop();
}

/// 3: after a shutdown it is gone: nobody is accepted.
#[test]
fn gone_after_shutdown() {
    let echo = Echo::start(Options::default());
    let address = echo.address();
    let _client = echo.connect();
    echo.await_open(1);
    assert!(echo.stop() <= STOP);
    assert!(TcpStream::connect(address).is_err());
}

/// 3: dropping the handle stops the server, too.
#[test]
fn dropping_the_handle_stops_it() {
    let echo = Echo::start(Options::default());
    let address = echo.address();
    drop(echo);
    assert!(TcpStream::connect(address).is_err());
}

/// 4: shutdown with no client.
#[test]
fn shutdown_with_no_client() {
    assert!(Echo::start(Options::default()).stop() <= STOP);
}

/// 4: shutdown with a client, which sees the end of its stream.
#[test]
fn shutdown_with_a_client() {
    let echo = Echo::start(Options::default());
    let mut client = echo.connect();
    echoes(&mut client, b"hello");
    // It goes when the server says goodbye, as clients do.
    let reader = std::thread::spawn(move || read_to_end(&mut client));
    assert!(echo.stop() <= STOP);
    assert_eq!(reader.join().unwrap(), b"");
}

/// 4: a job of 100 ms is answered before the server ends.
#[test]
fn shutdown_with_a_slow_handler() {
    let echo = Echo::start(Options::default());
    let mut client = echo.connect();
    let mut other = echo.connect();
    std::io::Write::write_all(&mut client, b"work 100").unwrap();
    // The loop reads in the order of arrival: when this is back, the job is under way.
    echoes(&mut other, b"later");
    drop(other);
    let reader = std::thread::spawn(move || read_to_end(&mut client));
    assert!(echo.stop() <= STOP);
    assert_eq!(reader.join().unwrap(), b"done");
}

/// 4: a job of 5 s does not hold up a shutdown beyond the drain's limit.
#[test]
fn shutdown_with_a_five_second_handler_ends_at_the_limit() {
    let limits = ReactorLimits { drain_ms: 300, ..ReactorLimits::default() };
    let mut echo = Echo::start(Options { limits, waits_for_jobs: false, ..Options::default() });
    let gate = echo.gate.take();
    let mut client = echo.connect();
    std::io::Write::write_all(&mut client, b"work 5000").unwrap();
    let mut other = echo.connect();
    echoes(&mut other, b"later");
    let took = echo.stop();
    assert!(took >= Duration::from_millis(200), "it did not wait at all: {took:?}");
    assert!(took < Duration::from_secs(5), "it waited for the job: {took:?}");
    assert_eq!(read_to_end(&mut client), b"");
    drop(gate);
}

/// 4: a service may have the end wait for its workers: then what was begun is done.
#[test]
fn shutdown_waits_for_workers_it_was_given() {
    let limits = ReactorLimits { drain_ms: 0, ..ReactorLimits::default() };
    let mut echo = Echo::start(Options { limits, ..Options::default() });
    let gate = echo.gate.take();
    let mut client = echo.connect();
    std::io::Write::write_all(&mut client, b"work 5000").unwrap();
    let mut other = echo.connect();
    echoes(&mut other, b"later");
    echo.handle.drain();
    // The loop has ended, its sockets are closed, and the job still runs.
    assert_eq!(read_to_end(&mut client), b"");
    assert_ne!(echo.handle.state(), LifeState::Stopped);
    drop(gate);
    assert!(echo.stop() <= STOP);
}

/// 4: a port that is taken is refused at once, in the caller's hands.
#[test]
fn port_in_use() {
    let echo = Echo::start(Options::default());
    let error = MioListener::bind(echo.address(), ListenOptions::default()).err().expect("the port is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    echoes(&mut echo.connect(), b"and the first one serves on");
}

/// 4: after the end the port is free, also when the server closed its clients' connections.
#[test]
fn port_is_released() {
    let echo = Echo::start(Options::default());
    let address = echo.address();
    let mut client = echo.connect();
    assert_eq!(ask(&mut client, b"ping", 4), b"ping");
    let reader = std::thread::spawn(move || read_to_end(&mut client));
    echo.stop();
    reader.join().unwrap();
    MioListener::bind(address, ListenOptions::default()).expect("the port is free");
}
