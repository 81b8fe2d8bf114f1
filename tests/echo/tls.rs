//! Checklist 9: the same echo through TLS, where bytes and ends hide in the session's own buffers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mangahub::reactor::transport::{mutual_tls_config, tls_config};
use mangahub::reactor::{PAUSE_SHARE, ReactorLimits};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion};

use super::server::{
    DEADLINE, Echo, FLOOD_BYTES, Options, connect, connect_narrow, echoes, owed, pattern, read_to_end, until,
};

type Client = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for the name "localhost", made for one test.
struct Identity(CertifiedKey<KeyPair>);

impl Identity {
    fn new() -> Self {
        Self(generate_simple_self_signed(["localhost".to_owned()]).unwrap())
    }

    fn cert(&self) -> String {
        self.0.cert.pem()
    }

    fn key(&self) -> String {
        self.0.signing_key.serialize_pem()
    }

    fn server(&self) -> Arc<ServerConfig> {
        tls_config(self.cert().as_bytes(), self.key().as_bytes()).unwrap()
    }

    /// A client that trusts this server, and shows who it is itself if it is somebody.
    fn client(&self, version: &'static SupportedProtocolVersion, itself: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.cert().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match itself {
            None => builder.with_no_client_auth(),
            Some(one) => {
                let chain = vec![CertificateDer::from_pem_slice(one.cert().as_bytes()).unwrap()];
                builder
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(one.key().as_bytes()).unwrap())
                    .unwrap()
            }
        })
    }

    fn over(&self, version: &'static SupportedProtocolVersion, socket: TcpStream) -> Client {
        let name = "localhost".try_into().unwrap();
        StreamOwned::new(ClientConnection::new(self.client(version, None), name).unwrap(), socket)
    }

    fn connect(&self, address: SocketAddr) -> Client {
        self.over(&TLS13, connect(address))
    }
}

/// An echo with a listener for TLS, and one without for looking at it.
fn start(identity: &Identity, options: Options) -> Echo {
    Echo::start(Options { listeners: vec![Some(identity.server()), None], ..options })
}

fn operator(echo: &Echo) -> TcpStream {
    connect(echo.handle.addresses()[1])
}

/// 9: it starts, accepts, counts and echoes, with TLS 1.2 and 1.3.
#[test]
fn echoes_over_both_versions() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    for version in [&TLS12, &TLS13] {
        let mut client = identity.over(version, connect(echo.address()));
        echoes(&mut client, b"hello");
        echo.await_open(1);
        assert_eq!(client.conn.protocol_version(), Some(version.version));
        for length in [1, 16_384, 16_385, 65_536, 65_537, 200_000] {
            echoes(&mut client, &pattern(length));
        }
        drop(client);
        echo.await_open(0);
    }
}

/// 9: ten clients at once, with TLS.
#[test]
fn parallel_clients() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    std::thread::scope(|scope| {
        for number in 0..10u8 {
            let (echo, identity) = (&echo, &identity);
            scope.spawn(move || echoes(&mut identity.connect(echo.address()), &[number; 20_000]));
        }
    });
    echo.await_open(0);
}

/// Large messages both ways through small socket buffers: reading stops in the middle of what TLS
/// has decrypted, writing in the middle of what it has encrypted, and nothing is lost.
#[test]
fn a_slow_reader_gets_every_byte() {
    const PAUSE_BYTES: usize = 64 << 10;
    let identity = Identity::new();
    let limits = ReactorLimits { send_bytes_max: PAUSE_BYTES * PAUSE_SHARE, ..ReactorLimits::default() };
    for version in [&TLS12, &TLS13] {
        let echo = start(&identity, Options { limits: limits.clone(), ..Options::default() });
        let mut operator = operator(&echo);
        let mut client = identity.over(version, connect_narrow(echo.address()));
        echoes(&mut client, b"hello");
        client.sock.set_nonblocking(true).unwrap();
        let sent = pattern(16 << 20);
        let mut written = 0;
        until("pause", DEADLINE, || {
            written += send_some(&mut client, &sent[written..]);
            owed(&mut operator) > 0
        });
        assert!(written < sent.len(), "it was not paused");
        let mut got = Vec::new();
        until("whole echo", 2 * DEADLINE, || {
            written += send_some(&mut client, &sent[written..]);
            receive_some(&mut client, &mut got);
            got.len() >= sent.len()
        });
        assert!(got == sent, "the echo differs");
    }
}

/// Sends what the socket takes now.
fn send_some(client: &mut Client, bytes: &[u8]) -> usize {
    let taken = match bytes {
        [] => 0,
        bytes => client.conn.writer().write(&bytes[..bytes.len().min(16 << 10)]).unwrap(),
    };
    while client.conn.wants_write() {
        match client.conn.write_tls(&mut client.sock) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the server closed the connection: {error}"),
        }
    }
    taken
}

/// Takes what has arrived.
fn receive_some(client: &mut Client, got: &mut Vec<u8>) {
    match client.conn.read_tls(&mut client.sock) {
        Ok(count) => assert_ne!(count, 0, "the server closed the connection after {} bytes", got.len()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return,
        Err(error) => panic!("the server closed the connection: {error}"),
    }
    let plain = client.conn.process_new_packets().unwrap().plaintext_bytes_to_read();
    let before = got.len();
    got.resize(before + plain, 0);
    client.conn.reader().read_exact(&mut got[before..]).unwrap();
}

/// The last answer arrives whole through a narrow socket, and TLS's own goodbye after it: what was
/// encrypted and not sent is not thrown away by closing.
#[test]
fn a_last_answer_arrives_whole() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    for version in [&TLS12, &TLS13] {
        let mut client = identity.over(version, connect_narrow(echo.address()));
        client.write_all(b"flood!").unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("the end is said, not just there");
        assert!(got == pattern(FLOOD_BYTES));
    }
}

/// A goodbye behind bytes, in one packet and without the end of the TCP stream, is heard: the bytes
/// come back, and the server's own goodbye.
#[test]
fn a_goodbye_behind_bytes_is_heard() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    let mut client = identity.connect(echo.address());
    echoes(&mut client, b"hello");
    client.conn.writer().write_all(b"the last").unwrap();
    client.conn.send_close_notify();
    let mut packet = Vec::new();
    while client.conn.wants_write() {
        client.conn.write_tls(&mut packet).unwrap();
    }
    client.sock.write_all(&packet).unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("the server says goodbye, too");
    assert_eq!(got, b"the last");
    echo.await_open(0);
}

/// Bytes that are no TLS, behind some that are, end the connection at once.
#[test]
fn nonsense_behind_bytes_is_noticed() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    let mut client = identity.connect(echo.address());
    echoes(&mut client, b"hello");
    client.conn.writer().write_all(b"good").unwrap();
    let mut packet = Vec::new();
    client.conn.write_tls(&mut packet).unwrap();
    packet.extend_from_slice(&[0x17, 3, 3, 0, 32]);
    packet.extend_from_slice(&[7; 32]);
    client.sock.write_all(&packet).unwrap();
    read_to_end(&mut client.sock);
    echo.await_open(0);
}

/// Who comes when the server is full is told so, though the handshake was not done when it closed.
#[test]
fn a_full_server_says_so() {
    let identity = Identity::new();
    let limits = ReactorLimits { connections_max: 1, ..ReactorLimits::default() };
    let echo = start(&identity, Options { limits, ..Options::default() });
    let mut first = identity.connect(echo.address());
    echoes(&mut first, b"hello");
    let mut refused = identity.connect(echo.address());
    let mut told = Vec::new();
    refused.read_to_end(&mut told).unwrap();
    assert_eq!(told, b"full");
    echoes(&mut first, b"undisturbed");
}

/// A client that never begins the handshake is counted, and ended for its silence.
#[test]
fn no_handshake_ends_as_idle() {
    let identity = Identity::new();
    let echo = start(&identity, Options { idle_ms: 2000, ..Options::default() });
    let began = Instant::now();
    let mut client = connect(echo.address());
    echo.await_open(1);
    read_to_end(&mut client);
    assert!(began.elapsed() >= Duration::from_millis(1900), "too early: {:?}", began.elapsed());
    drop(client);
    echo.await_open(0);
}

/// A client without TLS on a TLS port is closed, and others are not disturbed.
#[test]
fn a_plain_client_is_closed() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    let mut client = connect(echo.address());
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(!read_to_end(&mut client).starts_with(b"GET"));
    drop(client);
    echo.await_open(0);
    echoes(&mut identity.connect(echo.address()), b"hello");
}

/// 9: without TLS the same server is plain, on the listener next to it.
#[test]
fn off_is_plain() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    echoes(&mut operator(&echo), b"in the clear");
}

/// A server that drains says TLS's goodbye.
#[test]
fn a_drain_says_goodbye() {
    let identity = Identity::new();
    let echo = start(&identity, Options::default());
    let mut client = identity.connect(echo.address());
    echoes(&mut client, b"hello");
    echo.handle.drain();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("the end is said, not just there");
    assert_eq!(rest, b"");
    drop(client);
    assert!(echo.stop() <= Duration::from_secs(8), "it waited for the drain's limit");
}

/// 9: no certificate, no key, nonsense, or two that don't belong together: refused, in one line.
#[test]
fn nonsense_is_refused() {
    let (one, other) = (Identity::new(), Identity::new());
    let (cert, key, other_key) = (one.cert(), one.key(), other.key());
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        ("", key.as_str(), "certificate"),
        ("nonsense", &key, "certificate"),
        (&key, &key, "certificate"),
        (bad, &key, "certificate"),
        (&cert, "", "private key"),
        (&cert, "nonsense", "private key"),
        (&cert, &cert, "private key"),
        (&cert, &other_key, "together"),
    ];
    for (cert, key, told) in cases {
        let error = tls_config(cert.as_bytes(), key.as_bytes()).expect_err(told).to_string();
        assert!(error.contains(told) && !error.contains('\n'), "{told}: {error}");
    }
    let error = mutual_tls_config(cert.as_bytes(), key.as_bytes(), b"").expect_err("no authority");
    assert!(error.to_string().contains("authority"), "{error}");
}

/// With mutual TLS only a client with a certificate from the authority is served.
#[test]
fn mutual_tls_asks_who_is_there() {
    let (identity, known, stranger) = (Identity::new(), Identity::new(), Identity::new());
    let (cert, key, authority) = (identity.cert(), identity.key(), known.cert());
    let config = mutual_tls_config(cert.as_bytes(), key.as_bytes(), authority.as_bytes()).unwrap();
    let echo = Echo::start(Options { listeners: vec![Some(config)], ..Options::default() });
    let open = |itself: Option<&Identity>| {
        let session = ClientConnection::new(identity.client(&TLS13, itself), "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(session, connect(echo.address()))
    };
    echoes(&mut open(Some(&known)), b"hello");
    for refused in [None, Some(&stranger)] {
        let mut client = open(refused);
        // It may learn of the refusal while it writes, or when it reads.
        let _ = client.write_all(b"hello");
        let mut got = Vec::new();
        assert!(client.read_to_end(&mut got).is_err() && got.is_empty(), "served: {got:?}");
    }
}
