//! A small gRPC client: calls over HTTP/2 with the `h2` crate, messages by `prost`.
//!
//! One [`Channel`] is one connection. It knows unary calls and server streams, no compression and no deadlines: what
//! the measurements need. Everything runs on the caller's runtime, which must be a current-thread one.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{FlowControl, RecvStream};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;

use crate::error::{Doing, LoadError};
use crate::guard;

/// One call, ready to be made often.
#[derive(Debug, Clone)]
pub struct Call {
    /// `package.Service/Method`.
    pub method: &'static str,
    /// The request as gRPC frames it.
    pub frame: Bytes,
    /// The token, if the method asks for one.
    pub token: Option<String>,
}

impl Call {
    /// A call of `method` with `message`.
    pub fn new(method: &'static str, message: &impl Message, token: Option<&str>) -> Self {
        Self { method, frame: frame(message), token: token.map(str::to_owned) }
    }
}

/// A message behind its five bytes: not compressed, and how long it is.
fn frame(message: &impl Message) -> Bytes {
    let content = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + content.len());
    frame.put_u8(0);
    frame.put_u32(content.len() as u32);
    frame.put_slice(&content);
    frame.freeze()
}

/// A connection that calls can be made on.
#[derive(Clone)]
pub struct Channel {
    address: SocketAddr,
    sender: SendRequest<Bytes>,
}

impl Channel {
    /// Connects, and lets the connection run beside the caller.
    pub async fn connect(address: SocketAddr) -> Result<Self, LoadError> {
        guard::check(address)?;
        let socket = TcpStream::connect(address).await.doing("connect")?;
        socket.set_nodelay(true).doing("set a socket option")?;
        let (sender, conn) = h2::client::handshake(socket).await.map_err(wrong)?;
        tokio::spawn(conn);
        Ok(Self { address, sender })
    }

    /// Calls, and returns the one message of the answer, with its five bytes before it.
    pub async fn unary(&self, call: &Call) -> Result<Bytes, LoadError> {
        let mut answer = self.begin(call).await?;
        let mut held = BytesMut::new();
        while answer.more(&mut held).await? {}
        answer.end(true).await?;
        match whole(&held) {
            Some(length) if length == held.len() => Ok(held.freeze()),
            _ => Err(LoadError::Wrong(format!("{}: not one whole message", call.method))),
        }
    }

    /// Opens a server stream.
    pub async fn stream(&self, call: &Call) -> Result<Stream, LoadError> {
        Ok(Stream { answer: self.begin(call).await?, held: BytesMut::new() })
    }

    async fn begin(&self, call: &Call) -> Result<Answer, LoadError> {
        let mut request = Request::post(format!("http://{}/{}", self.address, call.method))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(token) = &call.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(()).map_err(|error| LoadError::Wrong(error.to_string()))?;
        let mut sender = self.sender.clone().ready().await.map_err(wrong)?;
        let (response, mut body) = sender.send_request(request, false).map_err(wrong)?;
        body.send_data(call.frame.clone(), true).map_err(wrong)?;
        let (head, body) = response.await.map_err(wrong)?.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(LoadError::Wrong(format!("{}: HTTP status {}", call.method, head.status)));
        }
        // An answer without a message has its status in the head.
        if head.headers.contains_key("grpc-status") {
            status(&head.headers)?;
        }
        Ok(Answer { body })
    }
}

/// The messages of a server stream.
pub struct Stream {
    answer: Answer,
    held: BytesMut,
}

impl Stream {
    /// The next message, or `None` when the stream ended as it should.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, LoadError> {
        loop {
            if let Some(length) = whole(&self.held) {
                let message = self.held.split_to(length).split_off(PREFIX_BYTES);
                return M::decode(message).map(Some).map_err(|error| LoadError::Wrong(error.to_string()));
            }
            if !self.answer.more(&mut self.held).await? {
                return self.answer.end(false).await.map(|()| None);
            }
        }
    }
}

struct Answer {
    body: RecvStream,
}

impl Answer {
    /// Waits for more bytes; `false` at the end of them.
    async fn more(&mut self, held: &mut BytesMut) -> Result<bool, LoadError> {
        let Some(data) = self.body.data().await else { return Ok(false) };
        let data = data.map_err(wrong)?;
        held.extend_from_slice(&data);
        give_back(self.body.flow_control(), data.len())?;
        Ok(true)
    }

    /// Looks at the status. After a unary call it must be there.
    async fn end(&mut self, once: bool) -> Result<(), LoadError> {
        match self.body.trailers().await.map_err(wrong)? {
            Some(trailers) => status(&trailers),
            None if once => Err(LoadError::Wrong("an answer without a status".to_owned())),
            None => Ok(()),
        }
    }
}

fn give_back(flow: &mut FlowControl, bytes: usize) -> Result<(), LoadError> {
    flow.release_capacity(bytes).map_err(wrong)
}

/// The length of the first message with its five bytes, once all of it is there.
fn whole(held: &[u8]) -> Option<usize> {
    let mut prefix = held.get(..PREFIX_BYTES)?;
    prefix.advance(1);
    let length = PREFIX_BYTES + prefix.get_u32() as usize;
    (held.len() >= length).then_some(length)
}

fn status(headers: &HeaderMap) -> Result<(), LoadError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("missing");
    match text("grpc-status") {
        "0" => Ok(()),
        code => Err(LoadError::Wrong(format!("gRPC status {code}: {}", text("grpc-message")))),
    }
}

fn wrong(error: h2::Error) -> LoadError {
    LoadError::Wrong(error.to_string())
}

/// Compressed or not, and a length of 32 bits: the gRPC over HTTP/2 protocol, Length-Prefixed-Message.
pub const PREFIX_BYTES: usize = 5;
