//! One who talks in a room and hears everyone in it.
//!
//! What is said names its speaker and the speaker's number of it. A message is answered when its speaker hears it
//! themselves, which is after it was stored; everybody else must hear it too, once and in order.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::drive::{Client, Verdict};
use crate::error::LoadError;
use crate::message::CHAT;
use crate::scenario::ping::refusal;
use crate::scenario::stored;
use crate::websocket::{self, Head, Kind};

/// A member of the room.
pub struct Chatter {
    speaker: usize,
    sent: u32,
    /// How many messages were heard of each speaker.
    heard: Vec<u32>,
    /// The beginning of a frame whose end has not come.
    tail: Vec<u8>,
    /// Payloads of pings that wait for an answer.
    pings: Vec<Vec<u8>>,
}

impl Chatter {
    /// Number `speaker` of `crowd` chatters.
    pub fn new(speaker: usize, crowd: usize) -> Self {
        Self { speaker, sent: 0, heard: vec![0; crowd], tail: Vec::new(), pings: Vec::new() }
    }

    /// Takes a frame. Whether one's own message was told or refused.
    fn hear(&mut self, kind: Kind, payload: &[u8]) -> Result<Option<Verdict>, String> {
        match kind {
            Kind::Ping => self.pings.push(payload.to_vec()),
            Kind::Text if payload.starts_with(CHAT) => {
                let own = self.hear_message(payload)?;
                return Ok(own.then_some(Ok(0)));
            }
            Kind::Text => {
                // What was refused is said again, so that nobody misses a number.
                let refused = refusal(payload);
                self.sent -= u32::from(refused.is_some() && self.sent > 0);
                return Ok(refused.map(Err));
            }
            Kind::Other => {}
        }
        Ok(None)
    }

    /// Takes what was said. Whether it is one's own.
    fn hear_message(&mut self, payload: &[u8]) -> Result<bool, String> {
        let wrong = |why: &str| format!("{why}: {}", String::from_utf8_lossy(&payload[..payload.len().min(300)]));
        let said: Said<'_> = serde_json::from_slice(payload).map_err(|_| wrong("not a message"))?;
        let (speaker, number) = numbers(said.content).ok_or_else(|| wrong("somebody else's message"))?;
        let heard = self.heard.get_mut(speaker).ok_or_else(|| wrong("nobody's message"))?;
        if number != *heard {
            return Err(wrong(&format!("{} expected number {heard} of speaker {speaker}", self.speaker)));
        }
        *heard += 1;
        Ok(speaker == self.speaker)
    }
}

impl Client for Chatter {
    fn ask(&mut self, out: &mut Vec<u8>) {
        let content = content(self.speaker, self.sent);
        websocket::text(format!("{{\"type\":\"chat\",\"content\":\"{content}\"}}").as_bytes(), out);
        self.sent += 1;
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        let mut tail = std::mem::take(&mut self.tail);
        tail.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(head) = Head::parse(&tail[from..])? {
            let payload = usize::try_from(head.payload).map_err(|_| "a frame too long".to_owned())?;
            let begin = from + head.length;
            let Some(payload) = tail.get(begin..begin.saturating_add(payload)) else { break };
            if let Some(verdict) = self.hear(head.kind, payload)? {
                answered(verdict);
            }
            from = begin + payload.len();
        }
        tail.drain(..from);
        self.tail = tail;
        Ok(())
    }

    fn owed(&mut self, out: &mut Vec<u8>) {
        self.pings.drain(..).for_each(|ping| websocket::pong(&ping, out));
    }
}

/// Everyone has heard everyone, as often as the speakers have heard themselves.
pub fn verify_heard(chatters: &[&Chatter]) -> Result<(), LoadError> {
    for listener in chatters {
        for (speaker, heard) in chatters.iter().zip(&listener.heard) {
            let said = speaker.heard[speaker.speaker];
            if *heard != said {
                let (listener, speaker) = (listener.speaker, speaker.speaker);
                return Err(LoadError::Wrong(format!(
                    "chatter {listener} heard {heard} of the {said} messages of chatter {speaker}"
                )));
            }
        }
    }
    Ok(())
}

/// What was said last in `room` is stored: of every speaker without a gap, up to the last that was acknowledged.
/// Only the last [`PAGES_MAX`] pages are looked at.
pub fn verify_stored(http: SocketAddr, room: &str, token: &str, chatters: &[&Chatter]) -> Result<(), LoadError> {
    let stored = stored::messages(http, room, token, PAGES_MAX)?;
    let mut expected: Vec<u32> = chatters.iter().map(|chatter| chatter.heard[chatter.speaker]).collect();
    let said: u64 = expected.iter().map(|count| u64::from(*count)).sum();
    // From the last to the first: of each speaker the number must go down by one.
    for content in stored.iter().rev() {
        let next = numbers(content).and_then(|(speaker, number)| Some((expected.get_mut(speaker)?, number)));
        match next {
            Some((expected, number)) if number + 1 == *expected => *expected = number,
            _ => {
                return Err(LoadError::Wrong(format!(
                    "a message was stored that does not follow the others: {content}"
                )));
            }
        }
    }
    let (found, limit) = (stored.len() as u64, (PAGES_MAX * stored::PAGE) as u64);
    match found >= said.min(limit) {
        true => Ok(()),
        false => Err(LoadError::Wrong(format!("{said} messages were acknowledged, {found} are stored"))),
    }
}

#[derive(Deserialize)]
struct Said<'a> {
    content: &'a str,
}

fn content(speaker: usize, number: u32) -> String {
    format!("speaker {speaker} says number {number}")
}

/// The speaker and the number in a message of ours.
fn numbers(content: &str) -> Option<(usize, u32)> {
    let (speaker, number) = content.strip_prefix("speaker ")?.split_once(" says number ")?;
    Some((speaker.parse().ok()?, number.parse().ok()?))
}

/// Two thousand messages: a sample, when a long run has said more.
const PAGES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &str) -> Vec<u8> {
        [&[0x81, payload.len() as u8], payload.as_bytes()].concat()
    }

    fn said(speaker: usize, number: u32) -> Vec<u8> {
        frame(&format!(r#"{{"type":"chat","content":"{}"}}"#, content(speaker, number)))
    }

    /// Shows that one's own message is the answer, that the others' are heard beside it, in every chunking, and that
    /// a ping is answered.
    #[test]
    fn everyone_is_heard() {
        let stream =
            [said(1, 0), vec![0x89, 1, b'x'], said(0, 0), frame("{\"type\":\"presence\"}"), said(1, 1)].concat();
        for size in 1..=stream.len() {
            let (mut chatter, mut answers, mut out) = (Chatter::new(0, 2), Vec::new(), Vec::new());
            chatter.ask(&mut Vec::new());
            for chunk in stream.chunks(size) {
                chatter.receive(chunk, &mut |verdict| answers.push(verdict)).unwrap();
                chatter.owed(&mut out);
            }
            assert_eq!((answers, &chatter.heard, out.len()), (vec![Ok(0)], &vec![1, 2], 7), "in chunks of {size}");
        }
    }

    /// Shows that a doubled message, a lost one and a stranger's are wrong, and a refused one is said again.
    #[test]
    fn anything_else_is_wrong() {
        for wrong in
            [[said(1, 0), said(1, 0)].concat(), said(1, 1), said(2, 0), frame(r#"{"type":"chat","content":"x"}"#)]
        {
            assert!(Chatter::new(0, 2).receive(&wrong, &mut |_| {}).is_err());
        }
        let (mut chatter, mut answers) = (Chatter::new(0, 2), Vec::new());
        chatter.ask(&mut Vec::new());
        let refused = frame(r#"{"type":"error","code":"RATE_LIMITED","message":"m"}"#);
        chatter.receive(&refused, &mut |verdict| answers.push(verdict)).unwrap();
        assert_eq!((answers, chatter.sent), (vec![Err("RATE_LIMITED".to_owned())], 0));
    }

    /// Shows that a listener who missed a message is found.
    #[test]
    fn who_missed_one_is_found() {
        let (mut speaker, mut listener) = (Chatter::new(0, 2), Chatter::new(1, 2));
        speaker.receive(&said(0, 0), &mut |_| {}).unwrap();
        assert!(verify_heard(&[&speaker, &listener]).is_err());
        listener.receive(&said(0, 0), &mut |_| {}).unwrap();
        verify_heard(&[&speaker, &listener]).unwrap();
    }
}
