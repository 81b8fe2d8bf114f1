//! Codecs alone: bytes to messages and messages to bytes, without sockets and without the loop.
//!
//! ```sh
//! cargo bench --bench codecs              # everything, about a minute
//! cargo bench --bench codecs -- line      # what has "line" in its name
//! ```
//!
//! Each benchmark prints the time of one message with its spread, and how many bytes a second that is. Compare with
//! the run before, which `criterion` remembers and prints as a change; numbers of different machines say little. A
//! message must stay far below what the system calls for it cost, some microseconds: then the codec is not what
//! bounds the server.
//!
//! - `line/decode`: the newline found and the message consumed, as in every turn.
//! - `line/read`: the same with the JSON object read, in both dialects.
//! - `line/write`: a broadcast put into bytes, in both dialects. It happens once for all readers of a dialect.
//! - `http/head`: a browser's GET with ten fields, and a POST with a body of JSON.
//! - `http/answer`: a page of 20 series as JSON, and the same with its head.
//! - `websocket/decode`: one masked text frame, unmasked where it lies, of two sizes.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Bencher, Criterion, Throughput, criterion_group, criterion_main};
use mangahub::handlers::api::{Event, ProgressEvent, Reply, Series, SeriesName};
use mangahub::handlers::session::ServiceKind;
use mangahub::proto::buffer::RecvBuf;
use mangahub::proto::http1::{self, Http1, HttpLimits, Response};
use mangahub::proto::line_json::{Line, LineCodec};
use mangahub::proto::sync::{self, Message};
use mangahub::proto::v1;
use mangahub::proto::websocket::{self, WebSocket};
use mangahub::store::model::{Chapter, Manga, MangaFacts, Page, Standing, UserId, Window};

criterion_group!(codecs, lines, reading, writing, heads, answers, frames);
criterion_main!(codecs);

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line/decode");
    group.throughput(Throughput::Bytes(UPDATE_V1.len() as u64));
    group.bench_function("one message", |bencher| {
        let (mut codec, mut rx) = (LineCodec::default(), RecvBuf::new());
        bencher.iter(|| {
            rx.append(UPDATE_V1.as_bytes());
            let Line::Whole(line) = codec.decode(&mut rx, false, LINE_MAX) else { panic!("it is whole") };
            black_box(line);
            codec.consume(&mut rx);
        });
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line/read");
    for (name, line, service) in DIALECTS {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let message = Message::parse(black_box(line.trim_end().as_bytes()), service);
                message.is_ok_and(|message| message.data.need_text("manga_id").is_ok())
            });
        });
    }
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let event = progress();
    let mut group = criterion.benchmark_group("line/write");
    for (name, _, service) in DIALECTS {
        let mut out = Vec::new();
        sync::write_event(&event, service, &mut out);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                sync::write_event(black_box(&event), service, &mut out);
            });
        });
    }
    group.finish();
}

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http/head");
    for (name, request) in [("GET of a browser", GET.to_owned()), ("POST with a body", post())] {
        group.throughput(Throughput::Bytes(request.len() as u64));
        group.bench_function(name, |bencher| {
            let (mut codec, mut rx) = (Http1::new(Arc::new(HttpLimits::default())), RecvBuf::new());
            let mut out = Vec::new();
            bencher.iter(|| {
                rx.append(request.as_bytes());
                let decoded = codec.decode(&mut rx, false);
                assert!(matches!(decoded, Ok(http1::Decoded::Request(_))), "it is whole");
                codec.finish(&mut rx);
                // The codec takes the next request once this one has its answer.
                out.clear();
                codec.encode(&Response::empty(204), DATE, &mut out);
            });
        });
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let list = page();
    let answer = || v1::show::respond(Ok(Reply::MangaList(list.clone(), WINDOW)));
    let mut group = criterion.benchmark_group("http/answer");
    group.throughput(Throughput::Bytes(answer().body.bytes().len() as u64));
    group.bench_function("JSON of 20 series", |bencher: &mut Bencher<'_>| {
        // The list is what the store hands over; copying it is no part of answering.
        let prepare = || Reply::MangaList(list.clone(), WINDOW);
        bencher.iter_batched(prepare, |reply| v1::show::respond(Ok(reply)), BatchSize::SmallInput);
    });
    group.bench_function("head and body into one buffer", |bencher| {
        let (mut codec, mut rx) = (Http1::new(Arc::new(HttpLimits::default())), RecvBuf::new());
        let (response, mut out) = (answer(), Vec::new());
        bencher.iter(|| {
            rx.append(GET.as_bytes());
            assert!(codec.decode(&mut rx, false).is_ok());
            codec.finish(&mut rx);
            out.clear();
            codec.encode(black_box(&response), DATE, &mut out)
        });
    });
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket/decode");
    for (name, bytes) in [("64 bytes of text", 64), ("4 KiB of text", 4096)] {
        let frame = masked(bytes);
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |bencher| {
            let (mut codec, mut rx) = (WebSocket::default(), RecvBuf::new());
            bencher.iter(|| {
                rx.append(&frame);
                let shown = codec.decode(&mut rx, LINE_MAX);
                assert!(matches!(shown, Ok(websocket::Decoded::Text(text)) if text.len() == bytes));
                codec.consume(&mut rx);
            });
        });
    }
    group.finish();
}

/// A text frame of a client.
fn masked(bytes: usize) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let length =
        if bytes < 126 { vec![0x80 | bytes as u8] } else { [&[0xFE], &(bytes as u16).to_be_bytes()[..]].concat() };
    let payload = (0..bytes).map(|at| b'x' ^ mask[at % 4]);
    [0x81].into_iter().chain(length).chain(mask).chain(payload).collect()
}

fn post() -> String {
    let body = r#"{"manga_id":"one-piece","current_chapter":7,"status":"reading"}"#;
    let head = "POST /api/v1/users/progress HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn series() -> Manga {
    let facts: MangaFacts = serde_json::from_str(FACTS).expect("these are facts");
    let standing = Standing { readers: 12, rating_sum: 87, rating_count: 10 };
    Manga { id: 1, facts, created_at: NOW, updated_at: NOW, standing }
}

fn page() -> Page<Manga> {
    Page { items: vec![series(); 20], total: 100_000 }
}

fn progress() -> Event {
    Event::Progress(Box::new(ProgressEvent {
        seq: 4711,
        user_id: UserId::parse("0190b3e2-1d6c-7cc1-9c2b-7d3f1b6f0a11").expect("an id"),
        username: "reader".into(),
        series: SeriesName::Known(Arc::new(Series::from(&series()))),
        chapter: Chapter::whole(7).expect("a chapter"),
        status: None,
        volume: None,
        page: None,
        rating: None,
        device: Some("phone".to_owned()),
        at: NOW,
    }))
}

const DIALECTS: [(&str, &str, ServiceKind); 2] =
    [("first dialect", UPDATE_V1, ServiceKind::SyncV1), ("second dialect", UPDATE_V2, ServiceKind::SyncV2)];

const UPDATE_V1: &str =
    "{\"type\":\"progress\",\"data\":{\"manga_id\":\"one-piece\",\"current_chapter\":7,\"status\":\"reading\"}}\n";

const UPDATE_V2: &str = "{\"type\":\"progress_update\",\"data\":{\"manga_id\":\"one-piece\",\"chapter\":7}}\n";

const GET: &str = "GET /api/v1/manga/one-piece HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 (X11; \
    Linux x86_64) AppleWebKit/537.36\r\nAccept: application/json, text/plain, */*\r\nAccept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nAuthorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl\r\n\
    Origin: http://localhost:3000\r\nReferer: http://localhost:3000/\r\nCache-Control: no-cache\r\n\
    Connection: keep-alive\r\n\r\n";

const FACTS: &str = r#"{"slug":"one-piece","title":"One Piece","title_native":"ワンピース","author":"Eiichiro Oda",
    "genres":["action","adventure","comedy"],"status":"ongoing","year":1997,
    "description":"A boy made of rubber looks for the greatest of treasures."}"#;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Some time in 2026.
const NOW: i64 = 1_780_000_000_000;

const WINDOW: Window = Window { limit: Some(20), offset: 0 };

/// Longer than every message here.
const LINE_MAX: usize = 1 << 20;
