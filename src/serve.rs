//! From a configuration to a running server: the one place where everything is put together.
//!
//! The order matters. Every socket is bound first, so that a port that is taken leaves no trace; then
//! the store is opened and the catalogue loaded; and only then does the first socket accept. What fails
//! is one line that names the thing.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::app::MangaHub;
use crate::app::rpc::ask;
use crate::config::files::SECRET_FILE;
use crate::config::{BroadcastScope, Config, ConflictRule, Registration, Synchronous, Udp};
use crate::handlers::catalogue::Catalogue;
use crate::handlers::leases::{self, Dialect};
use crate::handlers::rate::Rate;
use crate::handlers::session::ServiceKind;
use crate::handlers::token::Keys;
use crate::handlers::work::Work;
use crate::handlers::{Settings, State, webhooks};
use crate::outbound::Outbound;
use crate::proto::http1::HttpLimits;
use crate::reactor::ReactorLimits;
use crate::reactor::datagrams::MioDatagrams;
use crate::reactor::grpc::{self, RpcLimits};
use crate::reactor::inbox::Door;
use crate::reactor::net::{ListenOptions, MioListener};
use crate::reactor::pool::{self, LaneBounds, Ticket, WorkerOptions};
use crate::reactor::start::{Handle, Plan, Server, StartWorkers};
use crate::store::model::{Behind, MangaFacts};
use crate::store::{self, Job, OpenError, OpenStore, Store, StoreError, StoreOptions, Writer};

/// A server that runs. Dropping it drains it.
pub struct Running {
    handle: Handle,
    services: Vec<(&'static str, Vec<SocketAddr>)>,
}

/// Why a server did not start: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store can't be opened.
    #[error("{0}")]
    Store(#[from] OpenError),
    /// The catalogue can't be loaded.
    #[error("store.catalogue: {0}: {1}")]
    Catalogue(String, String),
    /// A port is taken, or may not be used.
    #[error("{service} ({key}): cannot listen on {address}: {why}")]
    Listen {
        /// The service.
        service: &'static str,
        /// The key that says where.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// The data folder can't be used.
    #[error("server.data_dir: {path}: {why}")]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Without these there would be no room for a connection.
    #[error("RLIMIT_NOFILE is {allowed}, and a start needs {wanted} descriptors: raise it (`ulimit -Hn {wanted}`)")]
    Descriptors {
        /// How many the process may open.
        allowed: usize,
        /// How many it needs at least.
        wanted: usize,
    },
    /// The system refuses threads or polls.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Starts every service there is.
pub fn serve(config: Config) -> Result<Running, ServeError> {
    let descriptors = descriptors(&config)?;
    // Before anything is made: a port that is taken leaves no trace.
    let (listeners, kinds, services) = bind(&config)?;
    let (rpc_listeners, rpc_addresses) = bind_rpc(&config)?;
    let (datagrams, dialects, datagram_services) = bind_datagrams(&config)?;
    make_folder(&config.server.data_dir)?;
    let mut open = store::open(&store_options(&config))?;
    let (catalogue, valid_from) = load(&config, &mut open)?;
    let keys = Keys::new(&secret(&config)?);
    let connections = connection_bound(config.limits.connections, descriptors);
    let workers = workers(open, &config);
    let (settings, http_limits) = (settings(&config), http_limits(&config));
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let (answers, outbox) = grpc::answers();
    let service = move || {
        let mut state = State::new(settings, keys, catalogue, ChaCha20Rng::from_seed(random), unix_ms());
        state.revocations.merge(valid_from);
        MangaHub::new(state, kinds, http_limits).with_datagrams(dialects).answering(answers)
    };
    let rpc = rpc_limits(&config);
    let plan = Plan {
        listeners,
        datagrams,
        limits: limits(&config, connections),
        lanes: LaneBounds {
            read: config.limits.read_queue_jobs,
            write: config.limits.write_queue_jobs,
            slow: config.limits.slow_queue_jobs,
            // A delivery is only sent when a thread is free.
            outbound: config.webhooks.calls,
        },
        service: Box::new(service),
        workers: Box::new(move |queues, door: Door<Work>| {
            let mut threads = workers(queues, door.clone())?;
            if !rpc_listeners.is_empty() {
                threads.push(grpc::start(rpc_listeners, rpc, outbox, door, ask)?);
            }
            Ok(threads)
        }),
    };
    let server = Server::new(plan)?;
    let addresses = server.addresses().to_vec();
    let datagram_addresses = server.datagram_addresses().to_vec();
    let mut services: Vec<_> = services.into_iter().map(|(name, range)| (name, addresses[range].to_vec())).collect();
    let internal = services.pop();
    services.extend(datagram_services.into_iter().map(|(name, range)| (name, datagram_addresses[range].to_vec())));
    services.push((ServiceKind::Grpc.as_str(), rpc_addresses));
    services.extend(internal);
    Ok(Running { handle: server.start()?, services })
}

impl Running {
    /// Every service and where it listens.
    pub fn addresses(&self) -> Vec<(&'static str, Vec<SocketAddr>)> {
        self.services.clone()
    }

    /// The first address of a service.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn address(&self, service: &str) -> SocketAddr {
        let found = self.services.iter().find(|(name, _)| *name == service);
        found.and_then(|(_, addresses)| addresses.first()).copied().unwrap_or_else(|| panic!("no service {service}"))
    }

    /// Its state, its connections, and how to end it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for its end.
    pub fn wait(self) -> io::Result<()> {
        self.handle.wait()
    }
}

// ---- the store and what is in it

/// How the configuration wants the store opened: a connection for each reader and slow worker.
pub fn store_options(config: &Config) -> StoreOptions {
    StoreOptions {
        url: config.store.url.clone(),
        readers: config.server.read_workers + slow_workers(config),
        full_sync: config.store.synchronous == Synchronous::Full,
    }
}

/// A catalogue, and from when each user's tokens count.
type Loaded = (Catalogue, Vec<(store::model::UserId, i64)>);

/// Brings the store's catalogue to the one that is shipped or named, and reads it into memory.
fn load(config: &Config, open: &mut OpenStore) -> Result<Loaded, ServeError> {
    let (name, text) = match &config.store.catalogue {
        None => ("(built in)".to_owned(), CATALOGUE.to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).map_err(|why| ServeError::Catalogue(name.clone(), why.to_string()))?;
            (name, text)
        }
    };
    let failed = |why: String| ServeError::Catalogue(name.clone(), why);
    let facts: Vec<MangaFacts> = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    for slice in facts.chunks(SLICE) {
        let changed = at_once(&mut *open.writer, |store| store.upsert_manga(slice, unix_ms()));
        let changed = changed.map_err(|error| failed(error.to_string()))?;
        if changed > 0 {
            tracing::info!(series = changed, catalogue = name, "catalogue loaded");
        }
    }
    index(&mut *open.writer).map_err(|error| failed(error.to_string()))?;
    let Some(reader) = open.readers.first_mut() else { return Err(failed("the store has no reader".into())) };
    let mut catalogue = Catalogue::default();
    let mut last = 0;
    loop {
        let slice = reader.manga_after(last, SLICE as u32).map_err(|error| failed(error.to_string()))?;
        let Some(end) = slice.last() else { break };
        last = end.id;
        slice.iter().for_each(|manga| catalogue.put(manga));
    }
    let oldest_s = unix_ms() / 1000 - token_s_max(config);
    let revoked = reader.revocations(oldest_s).map_err(|error| failed(error.to_string()))?;
    Ok((catalogue, revoked))
}

/// Puts series into the search index that an earlier program left out of it, some at a time.
fn index(writer: &mut dyn Writer) -> Result<(), StoreError> {
    let mut last = 0;
    while let Some(end) = at_once(writer, |store| store.index_manga(last))? {
        last = end;
    }
    Ok(())
}

/// Runs one piece of work through the writer, outside of any loop: at the start, or for a command.
pub fn at_once<T: Send>(
    writer: &mut dyn Writer,
    work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    struct Once<T, W>(Option<W>, Result<T, StoreError>);

    impl<T: Send, W: FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send> Job for Once<T, W> {
        fn run(&mut self, store: &mut dyn Store) -> bool {
            if let Some(work) = self.0.take() {
                self.1 = work(store);
            }
            self.1.is_ok()
        }

        fn void(&mut self, error: StoreError) {
            self.1 = Err(error);
        }
    }

    let mut job = Once(Some(work), Err(StoreError::Unavailable));
    writer.run(&mut [&mut job]);
    job.1
}

// ---- threads

/// Starts the writer, the readers, the slow workers and those that send webhooks.
fn workers(open: OpenStore, config: &Config) -> StartWorkers<Work> {
    let (group_max, read_workers) = (config.store.group_jobs, config.server.read_workers);
    let (calls, allow_private) = (config.webhooks.calls, config.webhooks.allow_private);
    let timeout = Duration::from_millis(config.webhooks.timeout_ms);
    Box::new(move |queues, door| {
        let OpenStore { writer, readers } = open;
        let mut writer = LastCheckpoint(writer);
        let options = WorkerOptions { name: "writer", nice: 0 };
        let write = move |group: &mut [Ticket<Work>]| {
            let mut jobs: Vec<&mut dyn Job> = group.iter_mut().map(|ticket| &mut ticket.job as &mut dyn Job).collect();
            writer.0.run(&mut jobs);
        };
        let mut threads = vec![pool::writer(options, group_max, queues.write, door.clone(), write)?];
        for (number, mut reader) in readers.into_iter().enumerate() {
            let (name, queue) = match number < read_workers {
                true => ("reader", &queues.read),
                false => ("slow", &queues.slow),
            };
            // Beside a loop that shares its core, whoever takes long goes second.
            let options = WorkerOptions { name, nice: 10 };
            let read = move |job: &mut Work| run_reader(job, &mut *reader);
            threads.push(pool::worker(options, queue.clone(), door.clone(), read)?);
        }
        for _ in 0..calls {
            let mut courier = Outbound::new(timeout, allow_private);
            let options = WorkerOptions { name: "outbound", nice: 10 };
            let carry = move |job: &mut Work| job.carry(&mut courier);
            // Not among those that the end waits for: a delivery that nobody hears of any more is made
            // again after the next start.
            pool::worker(options, queues.outbound.clone(), door.clone(), carry)?;
        }
        Ok(threads)
    })
}

/// One core is the loop's: two threads that check passwords on it are each given their slice before
/// the loop gets its turn.
fn slow_workers(config: &Config) -> usize {
    match config.server.slow_workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 64)),
        chosen => chosen,
    }
}

/// Runs a job that only reads. A panic voids its result.
fn run_reader(job: &mut Work, reader: &mut dyn Store) {
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run(reader)));
    if ran.is_err() {
        job.void(StoreError::Unavailable);
    }
}

/// Moves the log into the database file when the writer ends, so that a stopped server leaves one file.
struct LastCheckpoint(Box<dyn Writer>);

impl Drop for LastCheckpoint {
    fn drop(&mut self) {
        if let Err(error) = self.0.checkpoint() {
            tracing::warn!(%error, "the last checkpoint did not complete; the next start will do it");
        }
    }
}

// ---- sockets

/// The sockets with what each is for, and which of them belong to each service.
type Bound = (Vec<(MioListener, bool)>, Vec<ServiceKind>, Vec<(&'static str, std::ops::Range<usize>)>);

fn bind(config: &Config) -> Result<Bound, ServeError> {
    let plans: [(ServiceKind, &'static str, &[SocketAddr]); 4] = [
        (ServiceKind::Http, "http.listen", &config.http.listen),
        (ServiceKind::SyncV1, "tcp.v1_listen", &config.tcp.v1_listen),
        (ServiceKind::SyncV2, "tcp.v2_listen", &config.tcp.v2_listen),
        (ServiceKind::Internal, "internal.listen", &config.internal.listen),
    ];
    let keepalive = (config.tcp.keepalive_seconds > 0).then(|| Duration::from_secs(config.tcp.keepalive_seconds));
    let (mut listeners, mut kinds, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, key, addresses) in plans {
        let first = listeners.len();
        for address in addresses {
            let options = ListenOptions { keepalive: keepalive.filter(|_| kind.is_sync()), tls: None };
            let listener = MioListener::bind(*address, options).map_err(|why| ServeError::Listen {
                service: kind.as_str(),
                key,
                address: *address,
                why,
            })?;
            listeners.push((listener, kind == ServiceKind::Internal));
            kinds.push(kind);
        }
        services.push((kind.as_str(), first..listeners.len()));
    }
    Ok((listeners, kinds, services))
}

/// The sockets of gRPC's thread, and where they are.
fn bind_rpc(config: &Config) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), ServeError> {
    let bind = |address: &SocketAddr| {
        let bound = grpc::bind(*address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        bound.map(|(address, listener)| (listener, address)).map_err(|why| ServeError::Listen {
            service: ServiceKind::Grpc.as_str(),
            key: "grpc.listen",
            address: *address,
            why,
        })
    };
    config.grpc.listen.iter().map(bind).collect()
}

fn rpc_limits(config: &Config) -> RpcLimits {
    RpcLimits {
        connections_max: config.grpc.connections,
        streams_max: config.grpc.streams_per_connection as u32,
        calls_max: config.grpc.calls,
    }
}

/// The sockets of datagrams with what is spoken on each, and which of them belong to each service.
type BoundDatagrams = (Vec<MioDatagrams>, Vec<Dialect>, Vec<(&'static str, std::ops::Range<usize>)>);

fn bind_datagrams(config: &Config) -> Result<BoundDatagrams, ServeError> {
    let plans: [(&'static str, Dialect, &'static str, &[SocketAddr]); 2] =
        [("udp_v1", Dialect::V1, "udp.v1", &config.udp.v1), ("udp_v2", Dialect::V2, "udp.v2", &config.udp.v2)];
    let (mut sockets, mut dialects, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for (service, dialect, key, addresses) in plans {
        let first = sockets.len();
        for address in addresses {
            let failed = |why| ServeError::Listen { service, key, address: *address, why };
            sockets.push(MioDatagrams::bind(*address).map_err(failed)?);
            dialects.push(dialect);
        }
        services.push((service, first..sockets.len()));
    }
    Ok((sockets, dialects, services))
}

/// How many descriptors this process may open: as many as the system lets it ask for.
fn descriptors(config: &Config) -> Result<usize, ServeError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // The soft limit is a courtesy to programs that use select; this one doesn't.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = getrlimit(Resource::Nofile).current.map_or(1 << 20, |limit| limit as usize);
    // A database connection has its file, its log and, now and then, a journal.
    let wanted = DESCRIPTORS_MIN + config.listeners().count() + 3 * (store_options(config).readers + 1);
    if allowed < wanted { Err(ServeError::Descriptors { allowed, wanted }) } else { Ok(allowed) }
}

/// How many connections there may be: as configured, or all that the system's limit on descriptors
/// allows, less a reserve for the store, the logs and those who are told that there is no room.
fn connection_bound(configured: usize, descriptors: usize) -> usize {
    let most = descriptors.saturating_sub(DESCRIPTOR_RESERVE).max(CONNECTIONS_MIN);
    if configured > most {
        let wanted = configured + DESCRIPTOR_RESERVE;
        tracing::warn!(
            configured,
            most,
            allowed = descriptors,
            wanted,
            "limits.connections needs a higher RLIMIT_NOFILE"
        );
    }
    if configured == 0 { most } else { configured.min(most) }
}

// ---- the operator's choices, as each part needs them

/// The listeners through which people may chat without a token: HTTP's are bound before all others.
fn anonymous_listeners(config: &Config) -> Vec<u8> {
    let ports = config.http.listen.iter().map(|address| address.port());
    (0..).zip(ports).filter(|(_, port)| config.http.anonymous_chat.contains(port)).map(|(index, _)| index).collect()
}

/// What handlers need to know of the configuration.
pub fn settings(config: &Config) -> Settings {
    let (scope, narrowed) = config.effective_broadcast_scope();
    if narrowed {
        tracing::warn!("a listener is not on loopback, so tcp.broadcast_scope is \"user\"; set the key to choose");
    }
    let ms = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
    Settings {
        registration: config.auth.registration == Registration::Open,
        bcrypt_cost: config.auth.bcrypt_cost,
        v1_token_s: i64::from(config.auth.v1_token_days) * 86_400,
        v2_access_s: i64::from(config.auth.v2_access_minutes) * 60,
        v2_refresh_s: i64::from(config.auth.v2_refresh_days) * 86_400,
        token_s_max: token_s_max(config),
        broadcast_all: scope == BroadcastScope::All,
        broadcasts: Rate { per_second: config.tcp.broadcasts_per_second, burst: config.tcp.broadcasts_per_second },
        messages: Rate { per_second: config.limits.messages_per_second, burst: config.limits.messages_burst },
        connections_per_user: config.limits.connections_per_user as u32,
        connections_per_address: config.limits.connections_per_address as u32,
        hosts: config.http.hosts.clone(),
        cors_origins: config.http.cors_origins.clone(),
        internal_token: config.internal.token.as_ref().map(|token| token.expose().clone()),
        notices_keep_ms: i64::from(config.notifications.keep_days) * 86_400_000,
        chat_keep_days: config.chat.keep_days,
        recommend_interval_ms: config.recommend.interval_minutes as u64 * 60_000,
        webhooks: webhook_settings(config),
        reconnect_after_ms: RECONNECT_AFTER_MS,
        anonymous_chat: anonymous_listeners(config),
        ws_timeouts_ms: (ms(config.websocket.ping_seconds * 1000), ms(config.websocket.pong_seconds * 1000)),
        ws_message_bytes_max: (config.websocket.message_bytes, config.websocket.anonymous_message_bytes),
        line_bytes_max: config.tcp.line_bytes,
        first_line_bytes_max: config.tcp.line_bytes_before_auth,
        auth_timeout_ms: (ms(config.tcp.v1_auth_timeout_ms), ms(config.tcp.v2_auth_timeout_ms)),
        v2_idle_ms: ms(config.tcp.v2_idle_timeout_ms),
        http_timeouts_ms: (
            ms(config.http.idle_timeout_ms),
            ms(config.http.head_timeout_ms),
            ms(config.http.body_timeout_ms),
        ),
        v2_coalesce: config.tcp.v2_coalesce,
        leases: lease_wishes(&config.udp),
        behind: match config.sync.conflict {
            ConflictRule::LastWriteWins => Behind::Store,
            ConflictRule::Furthest => Behind::KeepPlace,
            ConflictRule::Ask => Behind::Refuse,
        },
        rpc_unauthenticated: config.grpc.allow_unauthenticated,
    }
}

fn webhook_settings(config: &Config) -> webhooks::Settings {
    let hooks = &config.webhooks;
    webhooks::Settings {
        allow_private: hooks.allow_private,
        per_user: hooks.per_user as u32,
        // A user whose receivers are slow leaves room for others.
        calls: (hooks.calls, (hooks.calls / 4).max(1)),
        backoff_ms: hooks.backoff_ms,
        attempts: hooks.attempts,
        disable_after: hooks.disable_after,
        keep_ms: i64::from(hooks.keep_days) * 86_400_000,
    }
}

/// What the operator wants of leases.
fn lease_wishes(udp: &Udp) -> leases::Wishes {
    leases::Wishes {
        bounds: leases::Bounds {
            lease_ms: udp.lease_seconds * 1000,
            silent_lease_ms: udp.silent_lease_seconds * 1000,
            leases_max: udp.leases,
            leases_per_user: udp.leases_per_user,
            rate: Rate { per_second: udp.datagrams_per_second, burst: udp.datagrams_per_second.saturating_mul(2) },
        },
        resend: leases::Resend { first_ms: udp.resend_ms, attempts_max: udp.resend_attempts as u32 },
        believe_claims: udp.allow_unverified_replay,
    }
}

/// The longest life of any token that is not looked up, in seconds.
pub fn token_s_max(config: &Config) -> i64 {
    // Refresh tokens are not among them: the store itself says whether one counts.
    i64::from(config.auth.v1_token_days * 86_400).max(i64::from(config.auth.v2_access_minutes * 60))
}

fn http_limits(config: &Config) -> HttpLimits {
    HttpLimits {
        head_bytes_max: config.http.head_bytes,
        line_bytes_max: config.http.line_bytes,
        fields_max: config.http.fields,
        body_bytes_max: config.http.body_bytes,
    }
}

fn limits(config: &Config, connections_max: usize) -> ReactorLimits {
    let limits = &config.limits;
    ReactorLimits {
        connections_max,
        recv_bytes_total: limits.recv_bytes_total,
        send_bytes_total: limits.send_bytes_total,
        send_bytes_max: limits.send_bytes_per_connection,
        pipeline_jobs: limits.pipeline_jobs as u16,
        read_budget_bytes: limits.read_budget_bytes,
        write_budget_bytes: limits.write_budget_bytes,
        calls_per_turn: limits.calls_per_turn,
        accepts_per_turn: limits.accepts_per_turn,
        completions_per_turn: limits.completions_per_turn,
        datagrams_queued: config.udp.queue,
        drain_ms: config.server.drain_seconds * 1000,
        ..ReactorLimits::default()
    }
}

// ---- the secret

/// The key of tokens: the configured one, or one made on the first start and kept.
fn secret(config: &Config) -> Result<Vec<u8>, ServeError> {
    if let Some(secret) = &config.auth.secret {
        return Ok(secret.expose().clone().into_bytes());
    }
    let path = config.server.data_dir.join(SECRET_FILE);
    let failed = |why| ServeError::Data { path: path.clone(), why };
    match fs::read(&path) {
        Ok(secret) if secret.len() >= SECRET_BYTES => keep_private(&path).map(|()| secret).map_err(failed),
        Ok(_) => Err(failed(io::Error::other("the secret is too short; delete the file to have a new one made"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(&path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn make_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut file = private(fs::OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    Ok(secret)
}

/// Takes a secret back that others may read: from a backup, or made by hand.
#[cfg(unix)]
fn keep_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could read the secret; now only its owner can");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn keep_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Files that only their owner may read.
fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes the data folder, for its owner only.
fn make_folder(path: &Path) -> Result<(), ServeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|why| ServeError::Data { path: path.into(), why })
}

/// The time of day, before there is a loop whose clock could be asked.
fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

/// The catalogue that is shipped.
const CATALOGUE: &str = include_str!("../data/manga.json");

/// How many series are read or written at a time.
const SLICE: usize = 500;

/// As many bytes as the hash that signs tokens has.
const SECRET_BYTES: usize = 32;

/// Descriptors that connections leave for everything else.
const DESCRIPTOR_RESERVE: usize = 512;

/// As few connections as make sense: who has so few descriptors has no room for the whole reserve.
const CONNECTIONS_MIN: usize = 16;

/// What a start takes beside sockets to listen on and the store: [`CONNECTIONS_MIN`], standard streams,
/// the poll, and some room.
const DESCRIPTORS_MIN: usize = 48;

/// How long clients should wait before they come back after a shutdown: a restart takes less.
const RECONNECT_AFTER_MS: u64 = 5000;
