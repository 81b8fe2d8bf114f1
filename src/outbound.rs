//! Requests to other people's servers: the only place where this program is a client.
//!
//! Addresses come from users, so this client is a suspicious one. It connects only where
//! [`is_public`] says so, and asks that of the very addresses it then connects to: it resolves each name
//! once, itself, so a name can't point elsewhere between the look and the connection. It follows no
//! redirect, knows no proxy, sends no cookie, keeps no connection, reads no body, and waits a bounded time.
//! It runs on threads of its own and not in `reactor/`, which moves bytes without ever waiting.

use std::net::SocketAddr;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::handlers::webhooks::address::is_public;
use crate::handlers::work::{Courier, Post, Posted};

/// A client for one thread.
pub struct Outbound {
    agent: Agent,
}

impl Outbound {
    /// A client that waits so long for an answer, from the look-up of the name on.
    pub fn new(timeout: Duration, allow_private: bool) -> Self {
        let config = Config::builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("mangahub/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(0)
            .max_response_header_size(HEAD_BYTES_MAX)
            .input_buffer_size(HEAD_BYTES_MAX)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.mul_f64(CONNECT_SHARE)))
            .build();
        let resolver = Guarded { names: DefaultResolver::default(), allow_private };
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver) }
    }
}

impl Courier for Outbound {
    fn post(&mut self, post: &Post) -> Posted {
        let mut request = self.agent.post(&post.url).header("Content-Type", "application/json");
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        match request.send(&post.body) {
            // Whatever else it says is dropped together with the connection.
            Ok(response) => Posted::Status(response.status().as_u16()),
            Err(error) => Posted::Failed(error.to_string().chars().take(REASON_CHARACTERS_MAX).collect()),
        }
    }
}

/// Finds addresses of names, and keeps those that may be connected to.
#[derive(Debug)]
struct Guarded<R> {
    names: R,
    allow_private: bool,
}

impl<R: Resolver> Resolver for Guarded<R> {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        let may_connect = |address: &&SocketAddr| self.allow_private || is_public(address.ip());
        found.iter().filter(may_connect).for_each(|address| kept.push(*address));
        match kept.is_empty() {
            true => Err(ureq::Error::Other("the host has no public address".into())),
            false => Ok(kept),
        }
    }
}

/// The head of an answer; beyond it the call has failed.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How much of the whole time a connection may take, so that there is some left for an answer.
const CONNECT_SHARE: f64 = 0.5;

/// A reason is a line in a list.
const REASON_CHARACTERS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    /// Names that stand for what a test says, as an attacker's own name server would answer.
    #[derive(Debug)]
    struct Names(Vec<SocketAddr>);

    impl Resolver for Names {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            self.0.iter().for_each(|address| found.push(*address));
            Ok(found)
        }
    }

    fn kept(addresses: &[&str], allow_private: bool) -> Vec<String> {
        let names = Names(addresses.iter().map(|address| address.parse().unwrap()).collect());
        let guarded = Guarded { names, allow_private };
        let after = ureq::unversioned::transport::time::Duration::Exact(Duration::from_secs(1));
        let timeout = NextTimeout { after, reason: ureq::Timeout::Global, per_read: None, per_write: None };
        let uri = Uri::from_static("http://rebound.example/");
        let found = guarded.resolve(&uri, &Config::default(), timeout);
        found.map_or_else(|error| vec![error.to_string()], |found| found.iter().map(SocketAddr::to_string).collect())
    }

    /// Whatever a name stands for at the moment of sending, only its public addresses are connected to.
    #[test]
    fn names_that_turn_private_are_caught() {
        assert_eq!(kept(&["1.1.1.1:80", "127.0.0.1:80", "[::ffff:10.0.0.1]:80"], false), ["1.1.1.1:80"]);
        for private in ["127.0.0.1:80", "169.254.169.254:80", "[fd00::1]:80"] {
            assert_eq!(kept(&[private], false), ["other: the host has no public address"]);
            assert_eq!(kept(&[private], true), [private]);
        }
    }

    fn post(url: String) -> Post {
        Post { url, headers: vec![("X-Test", "yes".into())], body: "{}".into() }
    }

    /// Answers one request with these bytes and gives what it was asked.
    fn answer_once(answer: Vec<u8>) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut asked, mut chunk) = (Vec::new(), [0; 4096]);
            while !asked.ends_with(b"{}") {
                let count = stream.read(&mut chunk).unwrap();
                asked.extend_from_slice(&chunk[..count]);
            }
            // A client that has seen enough may close at any time.
            let _ = stream.write_all(&answer);
            String::from_utf8(asked).unwrap()
        });
        (address, thread)
    }

    /// An address that stands there as a number is checked as well: nobody is connected to.
    #[test]
    fn private_addresses_are_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = Outbound::new(Duration::from_secs(5), false);
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"] {
            let posted = client.post(&post(format!("http://{host}:{port}/")));
            assert!(matches!(&posted, Posted::Failed(why) if why.contains("no public address")), "{host}: {posted:?}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    /// A request is what it was told to be, a redirect is an answer like any other, and a body that never
    /// ends is not read.
    #[test]
    fn redirects_are_not_followed_and_bodies_not_read() {
        let endless =
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 99999999\r\n\r\n".to_vec();
        let (address, thread) = answer_once(endless);
        let mut client = Outbound::new(Duration::from_secs(20), true);
        assert_eq!(client.post(&post(format!("http://{address}/a?b=c"))), Posted::Status(302));
        let asked = thread.join().unwrap();
        assert!(asked.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{asked}");
        for field in ["x-test: yes\r\n", "content-type: application/json\r\n", "content-length: 2\r\n"] {
            assert!(asked.to_ascii_lowercase().contains(field), "{asked}");
        }
    }

    /// A head without an end is not held.
    #[test]
    fn heads_are_bounded() {
        let head = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 1 << 20]].concat();
        let (address, thread) = answer_once(head);
        let mut client = Outbound::new(Duration::from_secs(20), true);
        let posted = client.post(&post(format!("http://{address}/")));
        assert!(matches!(posted, Posted::Failed(_)), "{posted:?}");
        thread.join().unwrap();
    }

    /// Whoever never answers is waited for as long as said, and an address that is none is a failure.
    #[test]
    fn waiting_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (began, mut client) = (Instant::now(), Outbound::new(Duration::from_millis(50), true));
        let posted = client.post(&post(url));
        assert!(matches!(&posted, Posted::Failed(why) if why.contains("timeout")), "{posted:?}");
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(matches!(client.post(&post("no address".into())), Posted::Failed(_)));
    }
}
