//! What the server shows over HTTP of what it has acknowledged before.
//!
//! A number of durable writes counts when the last of them is there to be read afterwards. These are the questions;
//! each scenario knows what the answer must be.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::LoadError;
use crate::http;

/// The stored chapter of `manga` of whoever has `token`.
pub fn chapter(http: SocketAddr, manga: &str, token: &str) -> Result<u64, LoadError> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        progress: Progress,
    }
    #[derive(Deserialize)]
    struct Progress {
        current_chapter: u64,
    }
    let answer: Answer = ask(http, &format!("/api/v1/users/progress/{manga}"), token)?;
    Ok(answer.data.progress.current_chapter)
}

/// What was said last in `room`, the oldest first: so many pages of [`PAGE`] messages, or all there are.
pub fn messages(http: SocketAddr, room: &str, token: &str, pages: usize) -> Result<Vec<String>, LoadError> {
    #[derive(Deserialize)]
    struct Page {
        data: Items,
    }
    #[derive(Deserialize)]
    struct Items {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        id: u64,
        content: String,
    }
    let (mut found, mut before) = (Vec::new(), String::new());
    for _ in 0..pages {
        let target = format!("/api/v1/chat/rooms/{room}/messages?limit={PAGE}{before}");
        let page: Page = ask(http, &target, token)?;
        let Some(first) = page.data.items.first() else { break };
        before = format!("&before={}", first.id);
        found.push(page.data.items);
    }
    Ok(found.into_iter().rev().flatten().map(|item| item.content).collect())
}

fn ask<T: DeserializeOwned>(http: SocketAddr, target: &str, token: &str) -> Result<T, LoadError> {
    let body = http::body(http, &http::get_as(http, target, token))?;
    serde_json::from_slice(&body)
        .map_err(|error| LoadError::Wrong(format!("{target}: {error}: {}", String::from_utf8_lossy(&body))))
}

/// Messages in an answer, the most that the server gives.
pub const PAGE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A peer that answers one request after the other with these bodies, and says what it was asked.
    fn peer(bodies: &'static [&'static str]) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move |body: &&str| {
            let (mut stream, mut asked) = (listener.accept().unwrap().0, [0; 1024]);
            let length = stream.read(&mut asked).unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            let line = String::from_utf8_lossy(&asked[..length]).lines().next().unwrap_or_default().to_owned();
            line.split(' ').nth(1).unwrap_or_default().to_owned()
        };
        (address, std::thread::spawn(move || bodies.iter().map(serve).collect()))
    }

    /// Shows that the chapter is found, and that an answer without one is none.
    #[test]
    fn a_chapter_is_found() {
        let (http, asked) = peer(&[r#"{"data":{"progress":{"current_chapter":7}}}"#, r#"{"data":{}}"#]);
        assert_eq!(chapter(http, "one-piece", "t").unwrap(), 7);
        assert!(chapter(http, "one-piece", "t").is_err());
        assert_eq!(asked.join().unwrap()[0], "/api/v1/users/progress/one-piece");
    }

    /// Shows that pages are asked for backwards and put together forwards, until there are no more.
    #[test]
    fn pages_are_put_together() {
        let (http, asked) = peer(&[
            r#"{"data":{"items":[{"id":8,"content":"c"},{"id":9,"content":"d"}]}}"#,
            r#"{"data":{"items":[{"id":4,"content":"a"},{"id":6,"content":"b"}]}}"#,
            r#"{"data":{"items":[]}}"#,
        ]);
        assert_eq!(messages(http, "general", "t", 5).unwrap(), ["a", "b", "c", "d"]);
        let asked = asked.join().unwrap();
        assert!(asked[1].ends_with("&before=8") && asked[2].ends_with("&before=4"), "{asked:?}");
    }
}
