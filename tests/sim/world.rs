//! The product in a simulated world: the real service and store, and a kernel, workers and clients
//! that do whatever the seed says.

use mangahub::app::MangaHub;
use mangahub::handlers::catalogue::Catalogue;
use mangahub::handlers::effect::CloseReason;
use mangahub::handlers::leases::{self, Dialect};
use mangahub::handlers::notices::words;
use mangahub::handlers::rate::Rate;
use mangahub::handlers::session::ServiceKind;
use mangahub::handlers::token::Keys;
use mangahub::handlers::work::Work;
use mangahub::handlers::{Settings, State};
use mangahub::proto::http1::HttpLimits;
use mangahub::reactor::inbox::{Door, Wakeup, inbox};
use mangahub::reactor::listener::Listener;
use mangahub::reactor::pool::{LaneBounds, Queues, Ticket, lanes};
use mangahub::reactor::{Reactor, ReactorLimits};
use mangahub::serve::at_once;
use mangahub::store::model::{Behind, MangaFacts, NoticeManga, Role, User, UserId};
use mangahub::store::{self, Job, OpenStore, StoreOptions};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::clients::{Client, Kind};
use super::net::{Faults, START_UNIX_MS, SimNet, SocketId};
use super::posts::Posts;

/// Everything there is.
pub struct World {
    pub net: SimNet,
    pub reactor: Reactor<SimNet, MangaHub>,
    pub clients: Vec<Client>,
    pub posts: Posts,
    pub limits: ReactorLimits,
    pub door: Door<Work>,
    queues: Queues<Work>,
    store: OpenStore,
    users: Vec<UserId>,
    tokens: Vec<String>,
    slugs: Vec<String>,
    serial: i64,
    /// Groups that the writer has committed and not handed back, in order.
    written: Vec<Vec<Ticket<Work>>>,
    /// Jobs that ran in another lane and were not handed back.
    ran: Vec<Ticket<Work>>,
    /// Jobs that will never come back.
    pub lost: usize,
    last_seq: i64,
    _folder: tempfile::TempDir,
}

impl World {
    /// A world before its first turn.
    pub fn new(seed: u64) -> Self {
        let net = SimNet::new(seed, Faults { chaos: true, streams_max: 24, send_bytes_max: 3000, nap_ms_max: 20 });
        // Nothing here is about durability, so a disk in memory does, where there is one.
        let memory = std::path::Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let mut store = store::open(&StoreOptions { url, readers: 1, full_sync: false }).expect("a store");
        let (catalogue, slugs) = fill_catalogue(&mut store);
        let (users, tokens) = make_users(&mut store);
        let kinds = vec![ServiceKind::Http, ServiceKind::SyncV1, ServiceKind::SyncV2];
        let state =
            State::new(settings(), Keys::new(SECRET), catalogue, ChaCha20Rng::seed_from_u64(seed), START_UNIX_MS);
        let service = MangaHub::new(state, kinds, HttpLimits::default()).with_datagrams(vec![Dialect::V1, Dialect::V2]);
        let limits = ReactorLimits {
            connections_max: [18, 10_000][net.below(2)],
            send_bytes_max: 64 << 10,
            read_budget_bytes: [64, 1024, 64 << 10][net.below(3)],
            write_budget_bytes: [64, 64 << 10][net.below(2)],
            calls_per_turn: [1, 3, 256][net.below(3)],
            accepts_per_turn: [1, 64][net.below(2)],
            completions_per_turn: [1, 256][net.below(2)],
            pipeline_jobs: [1, 4, 64][net.below(3)],
            datagrams_per_turn: [1, 1024][net.below(2)],
            datagrams_queued: [3, 65_536][net.below(2)],
            // Longer than any honest job is kept waiting, shorter than a run takes to end.
            job_timeout_ms: 60_000,
            ..ReactorLimits::default()
        };
        let (door, inbox) = inbox(net.bell());
        let (lanes, queues) = lanes(LaneBounds { read: 4096, write: 4096, slow: 64, outbound: 64 });
        let listeners = (0..3).map(|_| Listener::new(net.listen(), false)).collect();
        let reactor = Reactor::new(net.clone(), service, limits.clone(), listeners, inbox, lanes).expect("a loop");
        let reactor = reactor.with_datagrams(vec![net.bind(), net.bind()]).expect("two sockets");
        let (clients, written, ran) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            net,
            reactor,
            clients,
            posts: Posts::default(),
            limits,
            door,
            queues,
            store,
            users,
            tokens,
            slugs,
            serial: 0,
            written,
            ran,
            lost: 0,
            last_seq: 0,
            _folder: folder,
        }
    }

    /// So many new series are told of while nobody listens; tells a user who missed them.
    pub fn announce(&mut self, number: i64) -> UserId {
        for id in 1..=number {
            let notice = words::new_manga(NoticeManga { id, slug: id.to_string() }, "A series");
            at_once(&mut *self.store.writer, |store| store.add_notice(&notice, START_UNIX_MS)).expect("stored");
        }
        self.users[0].clone()
    }

    /// Something happens somewhere outside of the loop.
    pub fn disturb(&mut self) {
        match self.net.below(100) {
            0..3 if self.clients.len() < CLIENTS_MAX => self.enter(),
            3..40 => self.with_some_client(|client, world| {
                client.act(&world.net, &world.tokens, &world.slugs, &mut world.serial);
            }),
            40..70 => self.with_some_client(|client, world| {
                world.net.arrive(client.id, 1 + world.net.below(client.piece));
            }),
            70..75 => self.posts.act(&self.net, &self.users),
            75..97 => self.with_some_client(|client, world| {
                let most = 1 + world.net.below(5000);
                client.hear(&world.net, most, world.last_seq);
            }),
            97 => self.net.jump(self.net.below(7_200_000) as i64 - 3_600_000),
            98 => self.net.set_faults(|faults| faults.streams_max = 12),
            _ => self.net.set_faults(|faults| faults.streams_max = 24),
        }
        if self.net.below(3) == 0 {
            self.posts.hear(&self.net);
        }
        if self.net.below(3) == 0 {
            self.work(true);
        }
    }

    fn enter(&mut self) {
        let kind = match self.net.below(20) {
            0..7 => Kind::Line { v2: false },
            7..12 => Kind::Line { v2: true },
            12..17 => Kind::Http,
            17 => Kind::Deaf,
            18 => Kind::Silent,
            _ => Kind::Garbage,
        };
        let user = self.net.below(self.users.len());
        self.clients.push(Client::new(&self.net, kind, user));
    }

    fn with_some_client(&mut self, act: impl FnOnce(&mut Client, &mut World)) {
        if self.clients.is_empty() {
            return;
        }
        let mut client = self.clients.swap_remove(self.net.below(self.clients.len()));
        act(&mut client, self);
        self.clients.push(client);
    }

    /// Lets the workers go on: the writer in groups and in order, the others as they like. With
    /// `may_lose`, a job of a dishonest client may be lost.
    pub fn work(&mut self, may_lose: bool) {
        let group: Vec<_> = self.queues.write.try_next_group(1 + self.net.below(8)).unwrap_or_default();
        if !group.is_empty() {
            self.commit(group);
        }
        if self.net.below(2) == 0 && !self.written.is_empty() {
            self.door.send(Wakeup::Done(self.written.remove(0)));
        }
        let others = self.queues.read.try_iter().chain(self.queues.slow.try_iter()).take(1 + self.net.below(3));
        for mut ticket in others.collect::<Vec<_>>() {
            if may_lose && self.net.below(20) == 0 && !self.is_honest(&ticket) {
                self.lost += 1;
                continue;
            }
            ticket.job.run(&mut *self.store.readers[0]);
            self.ran.push(ticket);
        }
        for _ in 0..self.net.below(4).min(self.ran.len()) {
            let ticket = self.ran.remove(self.net.below(self.ran.len()));
            self.door.send(Wakeup::Done(vec![ticket]));
        }
    }

    fn commit(&mut self, mut group: Vec<Ticket<Work>>) {
        let mut jobs: Vec<&mut dyn Job> = group.iter_mut().map(|ticket| &mut ticket.job as &mut dyn Job).collect();
        self.store.writer.run(&mut jobs);
        self.written.push(group);
        self.last_seq = self.committed(1).into_iter().max().unwrap_or(0);
    }

    fn is_honest(&self, ticket: &Ticket<Work>) -> bool {
        let socket = self.net.socket_of(ticket.key);
        self.clients.iter().any(|client| Some(client.id) == socket && client.is_honest())
    }

    /// The numbers of the changes that the store holds, the last `each` of every user.
    pub fn committed(&mut self, each: u32) -> Vec<i64> {
        let reader = &mut self.store.readers[0];
        let entries = self.users.iter().flat_map(|user| reader.history(user, None, None, each).expect("history"));
        entries.map(|entry| entry.seq).collect()
    }

    /// Everything that is under way arrives, everyone reads, every job is done.
    pub fn calm(&mut self) {
        self.work(false);
        self.posts.hear(&self.net);
        for client in &mut self.clients {
            self.net.arrive(client.id, usize::MAX);
            client.hear(&self.net, usize::MAX, self.last_seq);
        }
    }

    /// Why a client's connection ended, if it did.
    pub fn end_of(&self, client: SocketId) -> Option<CloseReason> {
        let peer = self.net.peer(client);
        self.reactor.stats().closed().find(|closed| closed.peer == peer).map(|closed| closed.reason)
    }

    /// Jobs that are in a lane or on their way back.
    pub fn under_way(&self) -> usize {
        let waiting = self.queues.read.len() + self.queues.write.len() + self.queues.slow.len();
        waiting + self.ran.len() + self.written.iter().map(Vec::len).sum::<usize>()
    }
}

fn fill_catalogue(store: &mut OpenStore) -> (Catalogue, Vec<String>) {
    let all: Vec<MangaFacts> = serde_json::from_str(include_str!("../../data/manga.json")).expect("the catalogue");
    let facts: Vec<_> = all.into_iter().filter(|facts| facts.chapters_total.is_none()).take(6).collect();
    at_once(&mut *store.writer, |store| store.upsert_manga(&facts, START_UNIX_MS)).expect("written");
    let mut catalogue = Catalogue::default();
    store.readers[0].manga_after(0, 100).expect("read").iter().for_each(|manga| catalogue.put(manga));
    (catalogue, facts.into_iter().map(|facts| facts.slug).collect())
}

/// Some users, half of them with a token that does not say when it was issued.
fn make_users(store: &mut OpenStore) -> (Vec<UserId>, Vec<String>) {
    let make = |number: i64| {
        let user = User {
            id: UserId::parse(&format!("user-{number}")).expect("an id"),
            username: format!("reader{number}"),
            email: format!("reader{number}@example.org"),
            password_hash: String::new(),
            role: Role::User,
            valid_from: 0,
            created_at: START_UNIX_MS,
        };
        at_once(&mut *store.writer, |store| store.create_user(&user)).expect("created");
        let then_s = START_UNIX_MS / 1000 - 86_400;
        let token = match number % 2 {
            0 => Keys::new(SECRET).issue(&user, then_s, 10 * 86_400, uuid::Uuid::nil()),
            _ => {
                let claims = serde_json::json!({
                    "user_id": user.id.as_str(), "username": user.username, "exp": then_s + 864_000,
                });
                let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
                jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("signed")
            }
        };
        (user.id, token)
    };
    (0..4).map(make).unzip()
}

fn settings() -> Settings {
    Settings {
        registration: true,
        bcrypt_cost: 4,
        v1_token_s: 86_400,
        v2_access_s: 900,
        v2_refresh_s: 86_400,
        token_s_max: 10 * 86_400,
        broadcast_all: true,
        broadcasts: Rate { per_second: 20, burst: 20 },
        messages: Rate { per_second: 0, burst: 0 },
        connections_per_user: 0,
        connections_per_address: 0,
        hosts: Vec::new(),
        cors_origins: Vec::new(),
        internal_token: None,
        reconnect_after_ms: 1000,
        anonymous_chat: vec![0],
        ws_timeouts_ms: (54_000, 60_000),
        ws_message_bytes_max: (16 << 10, 512),
        line_bytes_max: 8192,
        first_line_bytes_max: 8192,
        auth_timeout_ms: (300_000, 300_000),
        v2_idle_ms: 300_000,
        http_timeouts_ms: (300_000, 200_000, 200_000),
        notices_keep_ms: 86_400_000,
        recommend_interval_ms: 60_000,
        webhooks: mangahub::handlers::webhooks::Settings {
            allow_private: false,
            per_user: 1,
            calls: mangahub::handlers::webhooks::Calls { all: 1, of_one: 1, of_slow: 1 },
            backoff_ms: 1000,
            attempts: 1,
            disable_after: 1,
            keep_ms: 1000,
        },
        leases: leases::Wishes {
            bounds: leases::Bounds {
                lease_ms: 100_000,
                silent_lease_ms: 200_000,
                leases_max: 12,
                leases_per_user: 2,
                leases_per_address: 4,
                rate: Rate { per_second: 200, burst: 400 },
            },
            resend: leases::Resend { first_ms: 1000, attempts_max: 6 },
            believe_claims: false,
        },
        chat_keep_days: 0,
        v2_coalesce: false,
        behind: Behind::Store,
        rpc_unauthenticated: false,
    }
}

pub const SECRET: &[u8] = b"an example secret of 32 bytes....";

/// How many clients come in one run.
const CLIENTS_MAX: usize = 40;
