//! Ingest: durable progress updates, every user on a connection of their own.
//!
//! An update is acknowledged by its own broadcast, which follows the commit. With `broadcast_scope = user` every
//! line is the user's own; with `all` the others' are passed over. Each must be stored, and the next chapter. At
//! the end the server is asked over HTTP what it has stored: the last chapter that it acknowledged to each user.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Pace;
use super::ping::refusal;
use super::stored;
use super::task::{Job, Ready, Setup, Task, Work};
use crate::client::{LineBuffer, Swarm};
use crate::drive::{Client, Drive, Outcome, Pacing, Verdict};
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::message::{Broadcast, progress_line};
use crate::progress::Progress;
use crate::sources::Sources;
use crate::stats::Summary;
use crate::token::Identity;

/// What an ingest run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Ingest {
    /// Durable updates per second.
    pub updates_per_second: f64,
    /// From sending an update to its broadcast.
    pub latency: Summary,
}

/// Every identity updates its chapter of `manga`, `in_flight` updates at a time.
pub fn run(
    tcp: SocketAddr,
    identities: &[Identity],
    manga: &str,
    in_flight: usize,
    pace: Pace,
) -> Result<Ingest, LoadError> {
    let work =
        Ingests { tcp, http: None, identities: identities.to_vec(), manga: manga.to_owned(), in_flight, rate: None };
    let setup = Setup { sources: Sources::default(), pace, pid: None };
    let job = Job { setup, work: Work::Ingest(work) };
    let outcome = Outcome::of(job.prepare()?.step(&Progress::HIDDEN)?);
    match outcome.work.first() {
        Some(work) if outcome.failed() == 0 => {
            Ok(Ingest { updates_per_second: work.operations_per_second, latency: work.latency.clone() })
        }
        _ => Err(LoadError::Wrong(outcome.to_string())),
    }
}

/// Who updates what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ingests {
    /// The server's v1 TCP address.
    pub tcp: SocketAddr,
    /// Its HTTP address, to ask at the end what is stored.
    pub http: Option<SocketAddr>,
    /// One connection for each.
    pub identities: Vec<Identity>,
    /// The slug of a series in the catalogue.
    pub manga: String,
    /// How many updates of each may be on their way.
    pub in_flight: usize,
    /// How many in a second, all users together; as many as are acknowledged, if `None`.
    pub rate: Option<f64>,
}

impl Ingests {
    /// The part of one of several processes.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let identities = self.identities.iter().skip(process).step_by(of.max(1)).cloned().collect();
        Self { identities, rate: self.rate.map(|rate| rate / of as f64), ..self.clone() }
    }

    /// Connects and authenticates everyone.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        let mut swarm = Swarm::from_sources(self.tcp, setup.sources)?;
        let tokens: Vec<String> = self.identities.iter().map(|identity| identity.token.clone()).collect();
        log_in_all(&mut swarm, tokens.len(), &tokens)?;
        let readers = self.identities.iter().map(|identity| Reader::new(&identity.user_id, &self.manga));
        let drive = Drive::new(swarm).lane("update", Pacing::at(self.rate), self.in_flight, readers);
        let Self { http, identities, manga, .. } = self;
        Ok(Ready::verified(drive, setup, move |readers| match http {
            Some(http) => verify_stored(http, &manga, identities.iter().zip(readers)),
            None => Ok(()),
        }))
    }
}

/// What was acknowledged to each reader is what the server shows over HTTP now.
pub fn verify_stored<'a>(
    http: SocketAddr,
    manga: &str,
    readers: impl Iterator<Item = (&'a Identity, &'a Reader)>,
) -> Result<(), LoadError> {
    for (identity, reader) in readers.filter(|(_, reader)| reader.acknowledged > 0) {
        let chapter = stored::chapter(http, manga, &identity.token)?;
        if !reader.may_be_stored(chapter) {
            let (user, last) = (&identity.username, reader.acknowledged);
            return Err(LoadError::Wrong(format!("{last} updates of {user} were acknowledged, stored is {chapter}")));
        }
    }
    Ok(())
}

/// One user's connection.
pub struct Reader {
    user_id: String,
    manga: String,
    lines: LineBuffer,
    sent: u64,
    acknowledged: u64,
}

impl Reader {
    /// Nothing read yet.
    pub fn new(user_id: &str, manga: &str) -> Self {
        let (user_id, manga) = (user_id.to_owned(), manga.to_owned());
        Self { user_id, manga, lines: LineBuffer::default(), sent: 0, acknowledged: 0 }
    }

    /// Whether a stored chapter fits what was acknowledged: it is that one, or one that was on its way behind it.
    fn may_be_stored(&self, stored: u64) -> bool {
        (self.acknowledged.saturating_sub(1)..self.sent).any(|sequence| chapter(sequence) == stored)
    }
}

impl Client for Reader {
    fn ask(&mut self, out: &mut Vec<u8>) {
        // Writing to a Vec can't fail.
        let _ = progress_line(&self.manga, chapter(self.sent), out);
        self.sent += 1;
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        let Self { user_id, lines, sent, acknowledged, .. } = self;
        let mut wrong = None;
        lines.feed(bytes, |line| {
            let verdict = match Broadcast::parse(line) {
                Some(broadcast) if broadcast.data.user_id != *user_id => return,
                Some(broadcast) if acknowledges(&broadcast, chapter(*acknowledged)) && acknowledged < sent => {
                    Some(Ok(0))
                }
                Some(_) => None,
                None => refusal(line).map(Err),
            };
            match verdict {
                Some(verdict) => {
                    *acknowledged += 1;
                    answered(verdict);
                }
                None => {
                    let shown = String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
                    wrong.get_or_insert(format!("update {acknowledged} of {user_id} got: {shown}"));
                }
            }
        });
        wrong.map_or(Ok(()), Err)
    }
}

fn acknowledges(broadcast: &Broadcast<'_>, chapter: u64) -> bool {
    broadcast.data.current_chapter == chapter && broadcast.data.stored != Some(false)
}

/// From 1 up, and round again before the server's largest chapter.
fn chapter(sequence: u64) -> u64 {
    1 + sequence % 99_999
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &str, chapter: u64) -> Vec<u8> {
        format!("{{\"type\":\"broadcast\",\"data\":{{\"user_id\":\"{user}\",\"current_chapter\":{chapter}}}}}\n").into()
    }

    /// A reader with two updates on their way, and what they look like.
    fn reader() -> (Reader, Vec<u8>) {
        let (mut reader, mut out) = (Reader::new("u", "one-piece"), Vec::new());
        (0..2).for_each(|_| reader.ask(&mut out));
        (reader, out)
    }

    /// Shows that a reader takes its own updates in order, in pieces too, passes over another's and counts a refusal.
    #[test]
    fn own_updates_in_order() {
        let (mut reader, out) = reader();
        assert_eq!(memchr::memchr_iter(b'\n', &out).count(), 2);
        let mut verdicts = Vec::new();
        let refused = b"{\"type\":\"error\",\"code\":\"UNAVAILABLE\",\"message\":\"m\"}\n".to_vec();
        let all = [line("other", 9), line("u", 1), refused].concat();
        for piece in all.chunks(10) {
            reader.receive(piece, &mut |verdict| verdicts.push(verdict)).unwrap();
        }
        assert_eq!(verdicts, [Ok(0), Err("UNAVAILABLE".to_owned())]);
        assert!(reader.may_be_stored(2) && !reader.may_be_stored(1) && !reader.may_be_stored(3));
    }

    /// Shows that a skipped chapter, one that was not stored and a line too many are errors.
    #[test]
    fn anything_else_is_an_error() {
        let unstored = br#"{"type":"broadcast","data":{"user_id":"u","current_chapter":1,"stored":false}}"#;
        let unstored = [unstored.as_slice(), b"\n"].concat();
        for wrong in [line("u", 2), unstored, [line("u", 1), line("u", 2), line("u", 3)].concat()] {
            assert!(reader().0.receive(&wrong, &mut |_| {}).is_err());
        }
    }
}
