//! From a configuration to a running server: the one place where everything is put together.
//!
//! The order matters. Every socket is bound first, so that a port that is taken leaves no trace; then
//! the store is opened and the catalogue loaded; and only then does the first socket accept. What fails
//! is one line that names the thing.

mod choices;
mod secret;
mod sockets;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use choices::{http_limits, limits};
pub use choices::{settings, token_s_max};
use secret::secret;
use sockets::{bind, bind_datagrams, bind_rpc, connection_bound, descriptors, rpc_limits};

use crate::app::MangaHub;
use crate::app::rpc::ask;
use crate::config::{Config, Synchronous};
use crate::handlers::State;
use crate::handlers::catalogue::Catalogue;
use crate::handlers::session::ServiceKind;
use crate::handlers::token::Keys;
use crate::handlers::work::Work;
use crate::outbound::Outbound;
use crate::reactor::grpc;
use crate::reactor::inbox::Door;
use crate::reactor::pool::{self, LaneBounds, Ticket, WorkerOptions};
use crate::reactor::start::{Handle, Plan, Server, StartWorkers};
use crate::store::model::MangaFacts;
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
    let rpc = rpc_limits(&config, descriptors);
    let connections = connection_bound(config.limits.connections, descriptors - rpc.connections_max);
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
    work: impl Fn(&mut dyn Store) -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    struct Once<T, W>(W, Result<T, StoreError>);

    impl<T: Send, W: Fn(&mut dyn Store) -> Result<T, StoreError> + Send> Job for Once<T, W> {
        fn run(&mut self, store: &mut dyn Store) -> bool {
            self.1 = (self.0)(store);
            self.1.is_ok()
        }

        fn void(&mut self, error: StoreError) {
            self.1 = Err(error);
        }
    }

    let mut job = Once(work, Err(StoreError::Unavailable));
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
            // It waits far more than it works, and its time limits are the receivers': a thread that others kept
            // from a busy core would count that against them.
            let options = WorkerOptions { name: "outbound", nice: 0 };
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

// ---- the folder and the time

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
