//! The messages of a call, as they come: bounded while they come, and until the call has used them.

use bytes::Bytes;
use h2::RecvStream;

use super::memory::Held;
use crate::proto::grpc::frame::Decoder;
use crate::proto::grpc::status::{Code, Status};

/// A call's messages. What they hold is given back with them.
pub struct Messages {
    body: RecvStream,
    decoder: Decoder,
    held: Held,
}

impl Messages {
    /// Of this body; they may be compressed if the head says so.
    pub fn new(body: RecvStream, packed: bool, held: Held) -> Self {
        Self { body, decoder: Decoder::new(packed), held }
    }

    /// The next message, of a call that has many; `None` when there are no more. The one before has been
    /// used.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while !self.decoder.is_ready()? {
            if !self.receive().await? {
                return self.end();
            }
        }
        self.take()
    }

    /// The one message of a call that has one.
    pub async fn only(&mut self) -> Result<Bytes, Status> {
        // It is unpacked when nothing more can come: while it is waited for the end, it is as short as it came.
        loop {
            if self.decoder.is_ready()? && self.decoder.has_more() {
                return Err(wrong("The call has more than one message"));
            }
            if !self.receive().await? {
                break;
            }
        }
        let message = if self.decoder.is_ready()? { self.take()? } else { self.end()? };
        message.ok_or_else(|| wrong("The call has no message"))
    }

    /// Takes what has come; `false` at the end.
    async fn receive(&mut self) -> Result<bool, Status> {
        let Some(data) = self.body.data().await else { return Ok(false) };
        let data = data.map_err(|_| Status::new(Code::Internal, "The stream broke"))?;
        self.hold(self.decoder.len() + data.len())?;
        self.decoder.feed(&data);
        // What was taken over may be sent anew.
        let _ = self.body.flow_control().release_capacity(data.len());
        Ok(true)
    }

    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(message) = self.decoder.next_message()? else { return Ok(None) };
        self.hold(self.decoder.len() + message.len())?;
        Ok(Some(message))
    }

    fn end(&self) -> Result<Option<Bytes>, Status> {
        if self.decoder.is_empty() { Ok(None) } else { Err(wrong("The stream ends within a message")) }
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        match self.held.set(bytes) {
            true => Ok(()),
            false => Err(Status::new(Code::ResourceExhausted, "Too many long messages, please try again")),
        }
    }
}

fn wrong(what: &'static str) -> Status {
    Status::new(Code::InvalidArgument, what)
}
