//! The codec against frames made here, byte for byte as the standard has them.

use super::*;
use proptest::prelude::*;

/// A client's frame: first byte, payload, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ MASK[index % 4]));
    bytes
}

/// What came out, in a form that can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Ended(u16),
    Fault(u16),
}

fn goodbye(codec: &mut WebSocket, reason: CloseReason) -> u16 {
    let mut out = Vec::new();
    codec.last_word(reason, &mut out);
    assert_eq!(out[..2], [0x88, 2], "a close frame with a code");
    u16::from_be_bytes([out[2], out[3]])
}

/// Feeds the codec in pieces of the given sizes and tells what came out, to the end of the conversation.
fn feed(input: &[u8], sizes: &[usize], bytes_max: usize) -> Vec<Out> {
    let (mut codec, mut rx, mut rest, mut out) = (WebSocket::default(), RecvBuf::new(), input, Vec::new());
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = later;
        rx.append(piece);
        loop {
            let shown = match codec.decode(&mut rx, bytes_max) {
                Ok(Decoded::NeedMore) => break,
                Ok(Decoded::Text(text)) => Out::Text(text.to_owned()),
                Ok(Decoded::Binary(bytes)) => Out::Binary(bytes.to_vec()),
                Ok(Decoded::Pong(frame)) => {
                    out.push(Out::Pong(frame.to_vec()));
                    continue;
                }
                Ok(Decoded::Ended) => {
                    out.push(Out::Ended(goodbye(&mut codec, CloseReason::Goodbye)));
                    return out;
                }
                Err(fault) => {
                    codec.end_with(fault);
                    assert_eq!(goodbye(&mut codec, CloseReason::ProtocolError), fault.code);
                    out.push(Out::Fault(fault.code));
                    return out;
                }
            };
            out.push(shown);
            codec.consume(&mut rx);
        }
    }
    out
}

fn text(text: &str) -> Out {
    Out::Text(text.to_owned())
}

/// Each case whole, byte by byte, and with a message behind it that is not lost.
#[test]
fn frames_are_read_in_every_chunking() {
    let join = |frames: &[Vec<u8>]| frames.concat();
    let long = "x".repeat(300);
    let cases: Vec<(Vec<u8>, Vec<Out>)> = vec![
        // The example of RFC 6455 §5.7: a masked text message that contains "Hello".
        (vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], vec![text("Hello")]),
        (frame(0x81, b""), vec![text("")]),
        (frame(0x82, &[0, 255]), vec![Out::Binary(vec![0, 255])]),
        (frame(0x81, long.as_bytes()), vec![text(&long)]),
        (frame(0x89, b"Hello"), vec![Out::Pong(b"\x8a\x05Hello".to_vec())]),
        (frame(0x89, &[7; 125]), vec![Out::Pong([&[0x8a, 125][..], &[7; 125]].concat())]),
        (frame(0x8a, b"unasked"), vec![]),
        (join(&[frame(0x01, b"Hel"), frame(0x80, b"lo")]), vec![text("Hello")]),
        (join(&[frame(0x02, b"a"), frame(0x00, b""), frame(0x80, b"b")]), vec![Out::Binary(b"ab".to_vec())]),
        // Control frames come between fragments, and a character is split by them.
        (
            join(&[frame(0x01, b"\xc3"), frame(0x89, b"?"), frame(0x8a, b""), frame(0x80, b"\xb6")]),
            vec![Out::Pong(b"\x8a\x01?".to_vec()), text("ö")],
        ),
        (join(&[frame(0x81, b"a"), frame(0x82, b"b")]), vec![text("a"), Out::Binary(b"b".to_vec())]),
    ];
    for (input, expected) in cases {
        for size in [input.len(), 1, 3] {
            assert_eq!(feed(&input, &[size], 300), expected, "{input:x?} by {size}");
        }
        let followed = [input.clone(), frame(0x81, b"next")].concat();
        assert_eq!(feed(&followed, &[followed.len()], 300), [expected, vec![text("next")]].concat());
    }
}

/// Whoever breaks the rules hears by which code they did, and nothing behind that is looked at.
#[test]
fn broken_rules_have_their_codes() {
    let unmasked = vec![0x81, 0x02, b'h', b'i'];
    let huge = vec![0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4];
    let endless = [&[0x81, 0xff][..], &[0xff; 8], &[1, 2, 3, 4]].concat();
    let fragments = [frame(0x01, &[b'x'; 200]), frame(0x80, &[b'x'; 101])].concat();
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (unmasked, 1002),
        (vec![0x89, 0x00], 1002),
        (frame(0xc1, b"rsv1"), 1002),
        (frame(0xa1, b"rsv2"), 1002),
        (frame(0x91, b"rsv3"), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x8b, b""), 1002),
        (frame(0x8f, b""), 1002),
        (frame(0x09, b"a fragment of a ping"), 1002),
        (frame(0x08, b""), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x80, b"continues nothing"), 1002),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002),
        ([frame(0x01, b"a"), frame(0x82, b"b")].concat(), 1002),
        (frame(0x88, &[3]), 1002),
        (frame(0x88, &999_u16.to_be_bytes()), 1002),
        (frame(0x88, &1005_u16.to_be_bytes()), 1002),
        (frame(0x88, &1006_u16.to_be_bytes()), 1002),
        (frame(0x88, &5000_u16.to_be_bytes()), 1002),
        (frame(0x88, &[&1000_u16.to_be_bytes()[..], b"\xff"].concat()), 1007),
        (frame(0x81, b"\xce\xba\xed\xa0\x80"), 1007),
        ([frame(0x01, b"\xc3"), frame(0x80, b"x")].concat(), 1007),
        (frame(0x81, &[b'x'; 301]), 1009),
        (huge, 1009),
        (endless, 1009),
        (fragments, 1009),
    ];
    for (input, code) in cases {
        let followed = [input.clone(), frame(0x81, b"unheard")].concat();
        for size in [followed.len(), 1] {
            assert_eq!(feed(&followed, &[size], 300), [Out::Fault(code)], "{input:x?} by {size}");
        }
    }
}

/// A length beyond the bound is refused by its head alone: nothing is waited for or held.
#[test]
fn a_declared_length_costs_nothing() {
    let (mut codec, mut rx) = (WebSocket::default(), RecvBuf::new());
    rx.append(&[0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(codec.decode(&mut rx, 16 << 10), Err(TOO_LARGE));
    assert!(rx.capacity() < 100);
}

/// Fragments are held, and waited for: between two of them nobody is idle, whatever control frames say. What is
/// shown as a whole message is nobody's debt any more.
#[test]
fn fragments_are_held_and_waited_for() {
    let (mut codec, mut rx) = (WebSocket::default(), RecvBuf::new());
    assert!(codec.is_idle(&rx) && codec.held() == 0);
    rx.append(&[frame(0x01, &[b'x'; 100]), frame(0x8a, b""), frame(0x00, b"")].concat());
    assert_eq!(codec.decode(&mut rx, 300), Ok(Decoded::NeedMore));
    assert!(rx.is_empty() && !codec.is_idle(&rx) && codec.held() >= 100);
    rx.append(&frame(0x80, b"x"));
    assert!(matches!(codec.decode(&mut rx, 300), Ok(Decoded::Text(_))));
    assert!(codec.is_idle(&rx), "it is the server's turn");
    codec.consume(&mut rx);
    assert!(codec.is_idle(&rx) && codec.held() == 0);
}

/// A goodbye is repeated with its code, ends the conversation, and is shown until it is dealt with.
#[test]
fn a_goodbye_is_answered_in_kind() {
    let after = frame(0x81, b"too late");
    for (payload, code) in
        [(vec![], 1000), (vec![0x03, 0xe8], 1000), (vec![0x03, 0xe9, b'x'], 1001), (vec![0x0f, 0xa0], 4000)]
    {
        let input = [frame(0x88, &payload), after.clone()].concat();
        for size in [input.len(), 1] {
            assert_eq!(feed(&input, &[size], 300), [Out::Ended(code)]);
        }
    }
    let in_the_middle =
        [frame(0x01, b"half a mess"), frame(0x88, &1000_u16.to_be_bytes()), frame(0x80, b"age")].concat();
    for size in [in_the_middle.len(), 1] {
        assert_eq!(feed(&in_the_middle, &[size], 300), [Out::Ended(1000)], "a message may be left unsaid");
    }
    let (mut codec, mut rx) = (WebSocket::default(), RecvBuf::new());
    rx.append(&frame(0x88, &[0x0f, 0xa0]));
    assert_eq!(codec.decode(&mut rx, 300), Ok(Decoded::Ended));
    assert_eq!(codec.decode(&mut rx, 300), Ok(Decoded::Ended));
}

/// Why we end a conversation is said once, in the standard's words.
#[test]
fn our_goodbye_says_why() {
    for (reason, code) in [
        (CloseReason::Goodbye, 1000),
        (CloseReason::Shutdown, 1001),
        (CloseReason::ProtocolError, 1002),
        (CloseReason::Unsupported, 1003),
        (CloseReason::Revoked, 1008),
        (CloseReason::Internal, 1011),
        (CloseReason::SlowConsumer, 1013),
        (CloseReason::MemoryPressure, 1013),
    ] {
        let mut codec = WebSocket::default();
        assert_eq!(goodbye(&mut codec, reason), code, "{reason:?}");
        let mut again = Vec::new();
        codec.last_word(CloseReason::Internal, &mut again);
        assert!(again.is_empty());
    }
}

/// A ping waits for its pong; anything else leaves it waiting.
#[test]
fn a_pong_is_waited_for() {
    let (mut codec, mut rx, mut out) = (WebSocket::default(), RecvBuf::new(), Vec::new());
    codec.ping(&mut out);
    assert_eq!(out, [0x89, 0]);
    rx.append(&frame(0x89, b""));
    assert!(matches!(codec.decode(&mut rx, 300), Ok(Decoded::Pong(_))));
    assert!(codec.awaits_pong() && codec.is_idle(&rx));
    rx.append(&frame(0x8a, b""));
    assert_eq!(codec.decode(&mut rx, 300), Ok(Decoded::NeedMore));
    assert!(!codec.awaits_pong() && rx.is_empty());
}

/// What we say is a whole frame without a mask, whatever its length; nothing is no frame.
#[test]
fn messages_are_framed() {
    for (length, head) in [
        (1, vec![0x81, 1]),
        (125, vec![0x81, 125]),
        (126, vec![0x81, 126, 0, 126]),
        (65_535, vec![0x81, 126, 255, 255]),
        (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let (payload, mut written, mut pushed) = (vec![b'x'; length], b"before".to_vec(), Vec::new());
        write_text(&mut written, |out| out.extend(&payload));
        push_text(&payload, &mut pushed);
        assert_eq!(pushed, [head, payload].concat());
        assert_eq!(written, [&b"before"[..], &pushed].concat());
    }
    let mut nothing = Vec::new();
    write_text(&mut nothing, |_| {});
    assert!(nothing.is_empty());
}

/// What a joined member costs in user space beyond its `Conn`, at rest.
#[test]
fn an_idle_member_is_small() {
    use crate::handlers::greet::Greeting;
    use crate::handlers::session::Extra;
    let bytes = size_of::<WebSocket>() + size_of::<Extra>() + size_of::<Greeting>();
    // A `Conn` is at most 192 bytes; names and a place in topics are some hundred more.
    assert!(bytes <= 384, "{bytes} bytes");
}

proptest! {
    /// How the stream is cut never changes what it says, and no bytes make it panic.
    #[test]
    fn chunking_changes_nothing(
        frames in prop::collection::vec(
            (
                prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0xff]),
                prop::collection::vec(prop_oneof![Just(b'x'), any::<u8>()], 0..140),
            ),
            0..8,
        ),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        sizes in prop::collection::vec(1usize..40, 1..10),
    ) {
        let mut input: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
        input.extend(noise);
        let whole = feed(&input, &[input.len().max(1)], 200);
        prop_assert_eq!(&feed(&input, &sizes, 200), &whole);
        prop_assert_eq!(&feed(&input, &[1], 200), &whole);
    }
}
