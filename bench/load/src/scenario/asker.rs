//! One who asks over HTTP: a connection that sends requests in turn and judges the answers.
//!
//! What is asked may be shared by several connections; each request then goes to whoever is next.

use std::cell::Cell;
use std::rc::Rc;

use crate::drive::{Client, Verdict};
use crate::http::{Answer, Inbox};

/// Says what is wrong with an answer, in one of few ways.
pub type Judge = fn(&Answer<'_>) -> Result<(), String>;

/// What is asked, round and round.
pub struct Questions {
    requests: Vec<Vec<u8>>,
    judge: Judge,
    asked: Cell<usize>,
}

impl Questions {
    /// These requests, of which there is at least one, with answers judged alike.
    pub fn new(requests: Vec<Vec<u8>>, judge: Judge) -> Rc<Self> {
        Rc::new(Self { requests, judge, asked: Cell::new(0) })
    }
}

/// A connection that asks.
pub struct Asker {
    questions: Rc<Questions>,
    inbox: Inbox,
}

impl Asker {
    /// Asks some of these questions.
    pub fn new(questions: &Rc<Questions>) -> Self {
        Self { questions: questions.clone(), inbox: Inbox::default() }
    }
}

impl Client for Asker {
    fn ask(&mut self, out: &mut Vec<u8>) {
        let Questions { requests, asked, .. } = &*self.questions;
        out.extend_from_slice(&requests[asked.get() % requests.len()]);
        asked.set(asked.get() + 1);
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        self.inbox.push(bytes);
        let Some(answer) = self.inbox.answer()? else { return Ok(()) };
        answered((self.questions.judge)(&answer).map(|()| answer.status));
        self.inbox.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that two connections take turns with the questions, that an answer in pieces is one, and that what the
    /// judge does not like is a failure in its words.
    #[test]
    fn questions_go_round() {
        let judge: Judge = |answer| if answer.status == 200 { Ok(()) } else { Err("no".to_owned()) };
        let questions = Questions::new(vec![b"1".to_vec(), b"2".to_vec(), b"3".to_vec()], judge);
        let (mut one, mut other, mut out) = (Asker::new(&questions), Asker::new(&questions), Vec::new());
        (0..2).for_each(|_| one.ask(&mut out));
        (0..2).for_each(|_| other.ask(&mut out));
        assert_eq!(out, b"1231");
        let mut verdicts = Vec::new();
        let mut hear = |bytes: &[u8]| one.receive(bytes, &mut |verdict| verdicts.push(verdict)).unwrap();
        hear(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        hear(b"ok");
        hear(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(verdicts, [Ok(200), Err("no".to_owned())]);
    }
}
