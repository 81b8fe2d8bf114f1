//! MangaHub as a service on the reactor: where the tables of routes meet the loop.
//!
//! A message is looked up, its access is checked, its call is run, and what the call leaves is
//! carried out by the loop. Nothing is decided here that a handler or a family's shape could
//! decide; what is here is the order of these steps: for requests in `http`, for lines in `line`, for
//! datagrams in `datagram`.
//! `answer` sends answers off over HTTP; `inspect` turns what the loop counts into the operator's pages.
//! `rpc` begins and answers the calls that come from the thread of gRPC. `patience` says how long each step may take,
//! `readers` which bytes an event is for whom.

mod answer;
mod datagram;
mod http;
mod inspect;
mod line;
mod patience;
mod readers;
pub mod rpc;

use std::sync::Arc;

use smallvec::SmallVec;

use answer::Dressed;

use crate::handlers::api::{Answer, ApiError, ErrorKind, Event, Inquiry, Origin, Product, Reply, Topic, Via};
use crate::handlers::effect::{CloseReason, Effect, Lane};
use crate::handlers::key::Audience;
use crate::handlers::leases::Dialect;
use crate::handlers::notices::subscribe;
use crate::handlers::session::{ServiceKind, Session};
use crate::handlers::work::Work;
use crate::handlers::{Ctx, State, chat, greet, leases, monitor};
use crate::proto::http_date::HttpDate;
use crate::proto::http1::{Http1, HttpLimits};
use crate::proto::line_json::LineCodec;
use crate::proto::routes::{self, Found, ROUTES};
use crate::proto::{Incoming, Phase, ProtoError, Wire, handshake, openapi, sync, v2, websocket, ws_text};
use crate::reactor::grpc::Answers;
use crate::reactor::post::Post;
use crate::reactor::service::{Expired, Farewell, Flow, Io, ListenerIndex, Now, Patience, Service, Written};
use crate::reactor::stats::View;
use crate::store::{Job, StoreError};

/// The product.
pub struct MangaHub {
    state: State,
    /// What each listener is for, by its index.
    listeners: Vec<ServiceKind>,
    /// What is spoken on each socket of datagrams, by its index.
    dialects: Vec<Dialect>,
    http_limits: Arc<HttpLimits>,
    date: HttpDate,
    /// The way to those who call by gRPC, where that is served.
    answers: Option<Answers>,
}

impl MangaHub {
    /// The product over what is known at the start. `listeners` says what each one is for.
    pub fn new(state: State, listeners: Vec<ServiceKind>, http_limits: HttpLimits) -> Self {
        // Made now, so that its first reader does not make everybody wait.
        let _ = openapi::document();
        let (dialects, http_limits) = (Vec::new(), Arc::new(http_limits));
        Self { state, listeners, dialects, http_limits, date: HttpDate::default(), answers: None }
    }

    /// The same with sockets of datagrams. `dialects` says what is spoken on each one.
    pub fn with_datagrams(self, dialects: Vec<Dialect>) -> Self {
        Self { dialects, ..self }
    }

    /// The same, with clients that call by gRPC.
    pub fn answering(mut self, answers: Answers) -> Self {
        self.answers = Some(answers);
        self
    }

    /// The context of a call on behalf of a connection.
    fn context<'a>(&'a mut self, via: Via, io: &'a mut Io<'_, Self>) -> Ctx<'a> {
        let origin = Origin { via, conn: io.key, since_ms: io.now.mono_ms, user: None, remote: None };
        self.context_of(origin, io)
    }

    /// The context of what follows from a call's job.
    fn context_of<'a>(&'a mut self, origin: Origin, io: &'a mut Io<'_, Self>) -> Ctx<'a> {
        let state = &mut self.state;
        let peer = origin.remote.as_ref().map_or(io.peer, |remote| remote.0.peer());
        Ctx { now: io.now, state, peer, origin, device: None, caller: None, effects: io.effects }
    }

    /// Counts an answer, and writes its line in the log.
    fn record(&mut self, origin: &Origin, refused: Option<&ApiError>, session: &Session, now: Now) {
        let Origin { via, conn, since_ms, user, .. } = origin;
        let latency_ms = now.mono_ms - since_ms;
        self.state.counts.answered.0 += 1;
        self.state.counts.answered.1 += latency_ms;
        let route = ROUTES.get(usize::from(via.0));
        let messages = session.service.is_sync() || session.service == ServiceKind::Ws;
        let operation = route.map_or("-", |route| route.name);
        let (conn, service, user) = (conn.pack(), session.service.as_str(), user.as_deref().unwrap_or("-"));
        let changes = route.is_some_and(|route| matches!(route.lane, Lane::Write | Lane::Slow));
        match refused {
            Some(error) => {
                let (status, code, sync_code) = error.kind.codes();
                let code = if messages { sync_code } else { code };
                self.state.counts.refuse(Some(usize::from(via.0)), code);
                if status >= 500 {
                    tracing::warn!(conn, service, user, operation, latency_ms, code, "{error}");
                } else {
                    tracing::debug!(conn, service, user, operation, latency_ms, code, "{error}");
                }
            }
            // What somebody changed over HTTP is worth a line; looking, syncing and talking are too frequent.
            None if changes && !messages => {
                tracing::info!(conn, service, user, operation, latency_ms, "done");
            }
            None => tracing::debug!(conn, service, user, operation, latency_ms, "done"),
        }
    }

    /// What follows from a job, for its connection or for nobody's.
    fn finish_work(&mut self, job: Work, session: Option<&mut Session>, io: &mut Io<'_, Self>) {
        let origin = job.origin.clone();
        let via = origin.via;
        let mut nobody = match origin.remote {
            Some(_) => Session::new(ServiceKind::Grpc),
            None => Session::detached(),
        };
        let gone = session.is_none();
        let session = session.unwrap_or(&mut nobody);
        let mut ctx = self.context_of(origin, io);
        if let Err(error) = job.finish(session, &mut ctx) {
            let begins = session.service.is_sync() && session.member.is_none();
            match begins && begins_session(via) {
                true => line::refuse_session(error, &mut ctx),
                false => ctx.refuse(error),
            }
        }
        if let (true, Some(member)) = (gone, nobody.member) {
            // A session that began for a connection that had already ended.
            self.state.members.leave(member, io.now.mono_ms);
        }
    }

    /// Answers a failure that no route is to blame for, in the shape of the connection's wire.
    fn apologise(&mut self, error: ApiError, session: &Session, io: &mut Io<'_, Self>) {
        let via = match session.service.is_sync() && session.member.is_none() {
            true => auth_route(session.service).0,
            false => Via::NONE,
        };
        self.context(via, io).refuse(error);
    }
}

impl Service for MangaHub {
    type Words = Product;
    type Session = Session;

    fn open(&mut self, io: &mut Io<'_, Self>) -> (Wire, Session) {
        let service = self.listeners[usize::from(io.listener)];
        let wire = match service.is_sync() {
            true => Wire::Line(LineCodec::default()),
            false => Wire::Http(Box::new(Http1::new(self.http_limits.clone()))),
        };
        let mut session = Session::new(service);
        session.anonymous_chat = self.state.settings.anonymous_chat.contains(&io.listener);
        let most = self.state.settings.connections_per_address;
        // The operator gets in when everybody else is kept out.
        let outsider = service != ServiceKind::Internal;
        if outsider && !io.full && most > 0 {
            session.counted = self.state.addresses.enter(io.peer.ip(), most);
        }
        let why = match outsider {
            true if io.full => Some("The server is full, please try again later"),
            true if most > 0 && !session.counted => Some("Too many connections from this address"),
            _ => None,
        };
        if let Some(why) = why {
            session.cors = Session::ENDING;
            self.apologise(ApiError::new(ErrorKind::Unavailable, why).after(5), &session, io);
            io.effects.push(Effect::Close(CloseReason::TooMany));
        }
        (wire, session)
    }

    fn handle(&mut self, message: Incoming<'_>, session: &mut Session, io: &mut Io<'_, Self>) -> Flow {
        match message {
            Incoming::Request(request) => self.request(&request, session, io),
            Incoming::Line(line) => self.line(Some(line), session, io),
            Incoming::LineTooLong => self.line(None, session, io),
            Incoming::Text(text) => self.line(Some(text.as_bytes()), session, io),
            Incoming::Binary(_) => {
                io.effects.push(Effect::Close(CloseReason::Unsupported));
                Flow::Handled
            }
            // No listener of the product speaks raw bytes.
            Incoming::Bytes(_) => Flow::Handled,
        }
    }

    fn upgraded(&mut self, session: &mut Session, io: &mut Io<'_, Self>) {
        greet::opened(session, &mut self.context(Via::NONE, io));
    }

    fn finish(&mut self, job: Work, session: Option<&mut Session>, io: &mut Io<'_, Self>) {
        self.finish_work(job, session, io);
    }

    fn begin(&mut self, call: Work, io: &mut Io<'_, Self>) {
        self.begin_rpc(call, io);
    }

    fn answer(&mut self, answer: Answer, now: Now) {
        self.answer_rpc(answer, now);
    }

    fn serves_elsewhere(&self) -> bool {
        self.answers.as_ref().is_some_and(Answers::are_awaited)
    }

    fn hand_over(&mut self) {
        if let Some(answers) = &self.answers {
            answers.hand_over();
        }
    }

    fn busy(&mut self, mut job: Work, session: Option<&mut Session>, io: &mut Io<'_, Self>) {
        job.void(StoreError::Busy);
        self.finish(job, session, io);
    }

    fn broken(&mut self, error: &ProtoError, session: &mut Session, io: &mut Io<'_, Self>) {
        // A WebSocket's goodbye says by its code what was wrong.
        let ProtoError::Http(error) = error else { return };
        if error.truncated {
            return;
        }
        let via = match error.path.as_deref().is_some_and(v2::owns) {
            true => Via::NONE_V2,
            false => Via::NONE,
        };
        session.cors = Session::ENDING;
        self.context(via, io).refuse(ApiError::new(ErrorKind::Framing(error.status), error.what));
    }

    fn panicked(&mut self, session: Option<&mut Session>, io: &mut Io<'_, Self>) {
        if let Some(session) = session {
            session.cors = Session::ENDING;
            self.apologise(ApiError::new(ErrorKind::Internal, "Something went wrong on the server"), session, io);
        }
    }

    fn expired(&mut self, kind: u8, session: &mut Session, io: &mut Io<'_, Self>) -> Expired {
        self.step_expired(kind, session, io)
    }

    fn drain(&mut self, io: &mut Io<'_, Self>) {
        self.state.draining = true;
        leases::close(&mut self.context(Via::NONE, io));
        if let Some(answers) = &self.answers {
            answers.drain();
        }
    }

    fn farewell(&mut self, session: &mut Session, idle: bool, io: &mut Io<'_, Self>) -> Farewell {
        match session.service {
            ServiceKind::Internal | ServiceKind::Grpc => Farewell::Stay,
            ServiceKind::Http if idle => Farewell::Close,
            ServiceKind::Http => Farewell::AfterReply,
            ServiceKind::SyncV1 | ServiceKind::SyncV2 | ServiceKind::Ws => {
                let reconnect_after_ms = self.state.settings.reconnect_after_ms;
                let message = "Server is shutting down.";
                self.context(Via::NONE, io).reply(Reply::Notice { message, reconnect_after_ms });
                Farewell::Close
            }
        }
    }

    fn closed(&mut self, session: &mut Session, io: &mut Io<'_, Self>) {
        if session.counted {
            self.state.addresses.leave(io.peer.ip());
        }
        chat::join::closed(session, &mut self.context(Via::NONE, io));
        if session.service == ServiceKind::Ws {
            let (verified, anonymous) = &mut self.state.counts.websockets;
            let counted = if session.member.is_some() { verified } else { anonymous };
            *counted = counted.saturating_sub(1);
        }
        subscribe::forget(session, &mut self.state);
        if let Some(member) = session.member.take() {
            if session.service.is_sync() {
                self.state.members.end_sync(member);
            }
            self.state.members.leave(member, io.now.mono_ms);
        }
    }

    fn tick(&mut self, io: &mut Io<'_, Self>) {
        monitor::tick(&mut self.context(Via::NONE, io));
    }

    fn patience(&self, wire: &Wire, phase: Phase, session: &Session) -> Patience {
        patience::of(&self.state.settings, wire, phase, session)
    }

    fn message_bytes_max(&self, session: &Session) -> usize {
        match session.member {
            None if session.service == ServiceKind::Ws => self.state.settings.ws_message_bytes_max.1,
            Some(_) if session.service == ServiceKind::Ws => self.state.settings.ws_message_bytes_max.0,
            None => self.state.settings.first_line_bytes_max,
            Some(_) => self.state.settings.line_bytes_max,
        }
    }

    fn topics(&self, session: &Session) -> SmallVec<[Topic; 2]> {
        let mut topics = SmallVec::new();
        if let (true, Some(member)) = (session.service.is_sync(), session.member) {
            if self.state.settings.broadcast_all {
                topics.push(Topic::Everyone);
            }
            topics.push(Topic::Member(member));
        }
        if let (ServiceKind::Ws, Some(member)) = (session.service, session.member) {
            topics.push(Topic::Member(member));
        }
        topics.extend(session.heard.topics(session.member, self.state.settings.broadcast_all));
        topics.extend(chat::topics(session));
        topics
    }

    fn may_publish(&mut self, topic: &Topic, now: Now) -> Result<(), u32> {
        // One telling a turn, however many events are joined in it.
        if *topic != Topic::Everyone || self.state.broadcast_ms == now.mono_ms {
            return Ok(());
        }
        self.state.broadcasts.take(self.state.settings.broadcasts, now.mono_ms)?;
        self.state.broadcast_ms = now.mono_ms;
        Ok(())
    }

    fn write_reply(
        &mut self,
        answer: Answer,
        wire: &mut Wire,
        session: &Session,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Written<Work> {
        let (origin, refused) = (answer.origin.clone(), answer.outcome.as_ref().err().cloned());
        let written = match (wire, answer.outcome) {
            (Wire::Ws(codec), Ok(Reply::Ping)) => {
                codec.ping(out);
                return Written::Open;
            }
            (Wire::Ws(_), Ok(Reply::Chat(chat::Reply::Retold(said)))) => {
                for (message, room) in said {
                    let event = Event::Chat(chat::Event::Said(message, room).into());
                    websocket::write_text(out, |out| ws_text::write_event(&event, out));
                }
                Written::Open
            }
            (Wire::Ws(_), outcome) => {
                websocket::write_text(out, |out| ws_text::write_reply(outcome, now.unix_ms, out));
                Written::Open
            }
            (Wire::Http(codec), Ok(Reply::Upgrade(accept))) => {
                let date = self.date.at(now.unix_ms.max(0) as u64 / 1000);
                codec.encode(&handshake::switch(accept), date, out);
                Written::Upgrade(Wire::Ws(Box::default()))
            }
            (Wire::Http(codec), outcome) => {
                let answer = Answer { origin: answer.origin, outcome };
                let mut response = match self.dress(answer, codec.asked(), session) {
                    Dressed::Ready(response) => response,
                    Dressed::Later(work) => return Written::Later(Lane::Slow, work),
                };
                response.close |= self.state.draining || session.is_ending();
                let date = self.date.at(now.unix_ms.max(0) as u64 / 1000);
                let stays_open = codec.encode(&response, date, out);
                // Whoever ends a session closes it, and knows the reason better.
                if stays_open || session.is_ending() { Written::Open } else { Written::Last }
            }
            (Wire::Line(_) | Wire::Raw, outcome) => {
                sync::write_reply(outcome, session.service, begins_session(origin.via), now.unix_ms, out);
                Written::Open
            }
        };
        self.record(&origin, refused.as_ref(), session, now);
        written
    }

    fn kind(&self, session: &Session) -> usize {
        readers::kind_of(session)
    }

    fn joins(&self, kind: usize) -> bool {
        kind != readers::SYNC_V2 || self.state.settings.v2_coalesce
    }

    fn write_event(&mut self, event: &Event, kind: usize, out: &mut Vec<u8>) {
        readers::write_event(event, kind, out);
    }

    fn deliver(&mut self, to: &mut dyn Iterator<Item = Audience>, event: &Event, _: Now, post: &mut Post) {
        let (streams, mut told) = (&self.state.streams, rpc::Told::new(event));
        let mut others: Vec<Audience> = Vec::new();
        for member in to {
            match member {
                Audience::Stream(number) => told.tell(streams, number),
                other => others.push(other),
            }
        }
        self.tell_leases(&mut others.into_iter(), event, post);
    }

    fn is_member(&self, member: Audience) -> bool {
        match member {
            Audience::Lease(key) => self.state.leases.registry.get(key).is_some(),
            _ => true,
        }
    }

    fn datagram(&mut self, socket: ListenerIndex, bytes: &[u8], io: &mut Io<'_, Self>) {
        self.hear(socket, bytes, io);
    }

    fn fill(&mut self, post: &mut Post, io: &mut Io<'_, Self>) {
        self.post_letters(post, io.now);
        leases::ask_all(&mut self.context(Via::NONE, io));
    }

    fn inspect(&self, inquiry: Inquiry, view: &View<'_>) -> Answer {
        inspect::answer(&self.state, self.answers.as_ref(), inquiry, view)
    }

    fn describe(&self, session: &Session) -> (&'static str, Option<String>) {
        let member = session.member.and_then(|member| self.state.members.get(member));
        (session.service.as_str(), member.map(|member| member.username.to_string()))
    }
}

/// Whether it is the route of a message that begins a session.
fn begins_session(via: Via) -> bool {
    ROUTES.get(usize::from(via.0)).is_some_and(|route| route.begins)
}

/// The route of the message that begins a session.
fn auth_route(service: ServiceKind) -> Found {
    routes::find_line(service, "auth").unwrap_or((Via::NONE, &ROUTES[0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::conn::Conn;
    use crate::reactor::net::MioNet;

    /// What every open connection costs before it holds anything.
    #[test]
    fn a_connection_is_small() {
        let bytes = size_of::<Conn<MioNet, MangaHub>>();
        assert!(bytes <= 192, "{bytes} bytes");
    }
}
