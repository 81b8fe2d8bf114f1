//! `examples/echo.rs` at `/ws`: whole messages come back as they were, of any kind and size.

use std::io::{Read, Write};

use super::process::Program;
use super::server::{connect, pattern, read_to_end};

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The head of a frame with a length of eight bytes and a mask of zeros, which leaves bytes as they are.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0xff][..], &(payload.len() as u64).to_be_bytes(), &[0; 4], payload].concat()
}

/// A client that has shaken hands.
fn open(program: &Program) -> std::net::TcpStream {
    let mut client = connect(program.http);
    client.write_all(HANDSHAKE.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    client
}

/// Text and binary come back as what they were, small and of 16 MiB, whole and in fragments; what is
/// larger is refused.
#[test]
fn websocket_echo() {
    let program = Program::start(&["--max-message", "16777216"]);
    let mut client = open(&program);
    client.write_all(&masked(0x81, "höllo".as_bytes())).unwrap();
    let mut answer = [0; 8];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"\x81\x06h\xc3\xb6llo");
    let large = pattern(16 << 20);
    let (front, back) = large.split_at(1 << 20);
    for message in [masked(0x82, &large), [masked(0x02, front), masked(0x80, back)].concat()] {
        let mut writer = client.try_clone().unwrap();
        let sent = std::thread::spawn(move || writer.write_all(&message).unwrap());
        let mut answer = vec![0; 10 + large.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..10], *b"\x82\x7f\0\0\0\0\x01\0\0\0");
        assert!(answer[10..] == large, "the echo differs");
        sent.join().unwrap();
    }
    client.write_all(&masked(0x81, &[])[..2]).unwrap();
    client.write_all(&[&(16_777_217_u64).to_be_bytes()[..], &[0; 4]].concat()).unwrap();
    assert_eq!(read_to_end(&mut client), [0x88, 2, 0x03, 0xf1]);
    let refused = program.request(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}
