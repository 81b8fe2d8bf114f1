//! A day in the life: readers who update, chatters who talk in a room, pollers who look at the catalogue and at their
//! own library over HTTP, all at once and all verified.
//!
//! Each kind of people is a lane of its own in one [`Drive`], so one that is slow does not hold the others back. A
//! reader's updates must come back once and in order; every chatter must hear everyone once and in order; a
//! poller's answer must be the right one. At the end the server is asked over HTTP for what it has acknowledged.

mod chatter;
mod poller;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::asker::Asker;
use super::echo::connect_all;
use super::ingest::{Reader, verify_stored};
use super::task::{Ready, Setup, Task, share};
use crate::client::Swarm;
use crate::drive::{Client, Drive, Pacing, Verdict};
use crate::error::LoadError;
use crate::join::join_all;
use crate::login::log_in_all;
use crate::token::Identity;
use chatter::Chatter;
use poller::poller;

/// Who lives this day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Days {
    /// The server's v1 TCP address.
    pub tcp: SocketAddr,
    /// Its HTTP address.
    pub http: SocketAddr,
    /// Those who read, each with a connection.
    pub readers: Vec<Identity>,
    /// Those who talk, each with a WebSocket.
    pub chatters: Vec<Identity>,
    /// How many connections ask over HTTP, as readers or chatters in turn.
    pub pollers: usize,
    /// The slug of the series that everyone reads.
    pub manga: String,
    /// How many operations in a second, of all kinds together; as many as are answered, if `None`.
    pub rate: Option<f64>,
    /// Where the chatters are; nobody else must be there.
    pub room: String,
}

impl Days {
    /// A room that nobody has been in.
    pub fn new_room() -> String {
        format!("load-{}", Uuid::new_v4().simple())
    }

    /// The part of one of several processes, in a room of its own.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let part = |all: &[Identity]| all.iter().skip(process).step_by(of.max(1)).cloned().collect();
        Self {
            readers: part(&self.readers),
            chatters: part(&self.chatters),
            pollers: share(self.pollers, process, of),
            rate: self.rate.map(|rate| rate / of as f64),
            room: format!("{}-{process}", self.room),
            ..self.clone()
        }
    }

    /// Connects everyone: the readers authenticate, the chatters join.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        let people: Vec<&Identity> = self.readers.iter().chain(&self.chatters).collect();
        if people.is_empty() {
            return Err(LoadError::Missing("a reader or a chatter is needed".to_owned()));
        }
        let mut swarm = Swarm::from_sources(self.tcp, setup.sources)?;
        log_in_all(&mut swarm, self.readers.len(), &tokens(&self.readers))?;
        swarm.aim_at(self.http)?;
        let rooms = std::slice::from_ref(&self.room);
        join_all(&mut swarm, self.http, self.chatters.len(), &tokens(&self.chatters), rooms)?;
        connect_all(&mut swarm, self.pollers)?;
        let readers = self.readers.iter().map(|reader| Person::Reader(Reader::new(&reader.user_id, &self.manga)));
        let crowd = self.chatters.len();
        let chatters = (0..crowd).map(|speaker| Person::Chatter(Chatter::new(speaker, crowd)));
        let asking = people.iter().cycle().take(self.pollers);
        let pollers = asking.map(|person| Person::Poller(poller(self.http, &self.manga, &person.token)));
        let drive = Drive::new(swarm)
            .lane("update", self.pacing(UPDATES), 1, readers)
            .lane("chat", self.pacing(CHATS), 1, chatters)
            .lane("poll", self.pacing(POLLS), 1, pollers);
        Ok(Ready::verified(drive, setup, move |people| self.verify(people)))
    }

    fn pacing(&self, part: f64) -> Pacing {
        Pacing::at(self.rate.map(|rate| rate * part))
    }

    fn verify(&self, people: &[Person]) -> Result<(), LoadError> {
        let readers = people.iter().filter_map(|person| match person {
            Person::Reader(reader) => Some(reader),
            _ => None,
        });
        verify_stored(self.http, &self.manga, self.readers.iter().zip(readers))?;
        let chatters: Vec<&Chatter> = people
            .iter()
            .filter_map(|person| match person {
                Person::Chatter(chatter) => Some(chatter),
                _ => None,
            })
            .collect();
        chatter::verify_heard(&chatters)?;
        match self.chatters.first() {
            Some(someone) => chatter::verify_stored(self.http, &self.room, &someone.token, &chatters),
            None => Ok(()),
        }
    }
}

fn tokens(identities: &[Identity]) -> Vec<String> {
    identities.iter().map(|identity| identity.token.clone()).collect()
}

/// Somebody with a connection.
enum Person {
    Reader(Reader),
    Chatter(Chatter),
    Poller(Asker),
}

impl Client for Person {
    fn ask(&mut self, out: &mut Vec<u8>) {
        match self {
            Person::Reader(reader) => reader.ask(out),
            Person::Chatter(chatter) => chatter.ask(out),
            Person::Poller(poller) => poller.ask(out),
        }
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        match self {
            Person::Reader(reader) => reader.receive(bytes, answered),
            Person::Chatter(chatter) => chatter.receive(bytes, answered),
            Person::Poller(poller) => poller.receive(bytes, answered),
        }
    }

    fn owed(&mut self, out: &mut Vec<u8>) {
        if let Person::Chatter(chatter) = self {
            chatter.owed(out);
        }
    }
}

/// Of ten operations: people look more than they do, and say least of all.
const UPDATES: f64 = 0.4;
const CHATS: f64 = 0.1;
const POLLS: f64 = 0.5;
