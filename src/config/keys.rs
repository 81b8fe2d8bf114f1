//! Every key there is: its section, name, kind, default and why. The one place to add a key.
//!
//! The table becomes the structs, their defaults and documentation, the file `mangahub.toml`, the
//! names of the environment variables and the rows of `config show`. The doc comment of a key is
//! its line of why, for operators: it says the reason and what happens at the bound.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    Origin,
    kinds::{
        Addresses, BroadcastScope, Bytes, ConflictRule, CorsOrigins, Count, FilePath, Flag, HostNames, Kind, LogFilter,
        LogFormat, Maybe, Millis, Ports, Rate, Raw, Registration, Seconds, SigningSecret, StoreUrl, Synchronous, Token,
    },
};

/// One key, as everything that walks over all of them sees it.
pub struct Key {
    /// The section it stands in.
    pub section: &'static str,
    /// Its name inside the section.
    pub name: &'static str,
    /// Why it is there, line by line.
    pub why: &'static [&'static str],
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Reads a value into its field, or says what is expected.
    pub set: fn(&mut Config, &Raw) -> Result<(), String>,
    /// The value for machines.
    pub value: fn(&Config) -> serde_json::Value,
    /// The value as the file says it.
    pub literal: fn(&Config) -> String,
}

impl Key {
    /// `section.key`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `MANGAHUB_SECTION_KEY`.
    pub fn variable(&self) -> String {
        format!("MANGAHUB_{}_{}", self.section, self.name).to_uppercase()
    }
}

/// One section of the file.
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about, line by line.
    pub about: &'static [&'static str],
    /// Its keys, in the order of the declaration.
    pub keys: &'static [Key],
}

/// Every key, in the order of the declaration.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

macro_rules! declare {
    ($(
        $(#[doc = $about:literal])+
        [$section:ident] $Section:ident {
            $(
                $(#[doc = $why:literal])+
                $key:ident: $Kind:ty = $default:expr;
            )+
        }
    )+) => {
        /// Everything an operator can set. Made by [`Config::load`], or [`Config::default`] in tests.
        #[derive(Debug, Clone)]
        pub struct Config {
            $(
                $(#[doc = $about])+
                pub $section: $Section,
            )+
            /// Where each value came from, in the order of the declaration.
            pub(super) origins: Vec<Origin>,
            pub(super) keys_in_file: usize,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($section: $Section::default(),)+
                    origins: vec![Origin::Default; keys().count()],
                    keys_in_file: 0,
                }
            }
        }

        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone)]
            pub struct $Section {
                $(
                    $(#[doc = $why])+
                    pub $key: <$Kind as Kind>::Field,
                )+
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $($key: $default,)+ }
                }
            }
        )+

        /// Every section with its keys, in the order of the declaration.
        pub static SECTIONS: &[Section] = &[$(
            Section {
                name: stringify!($section),
                about: &[$($about),+],
                keys: &[$(
                    Key {
                        section: stringify!($section),
                        name: stringify!($key),
                        why: &[$($why),+],
                        secret: <$Kind as Kind>::SECRET,
                        set: |config, raw| {
                            config.$section.$key = <$Kind as Kind>::read(raw)?;
                            Ok(())
                        },
                        value: |config| <$Kind as Kind>::value(&config.$section.$key),
                        literal: |config| <$Kind as Kind>::literal(&config.$section.$key),
                    },
                )+],
            },
        )+];
    };
}

declare! {
    /// HTTP/1.1: every route on every listener. Deadlines and sizes stop a client that feeds us slowly or for ever.
    [http] Http {
        /// Where HTTP is served: the default ports of all existing clients. An empty list switches HTTP off.
        listen: Addresses = loopback(&[8080, 8084, 9093]);
        /// Host names accepted besides loopback names and the listeners' own addresses; any other gets 421 (DNS rebinding).
        hosts: HostNames = Vec::new();
        /// Web pages whose scripts may call us. "*" (everyone) must be written out, sends no credentials, never opens /ws.
        cors_origins: CorsOrigins = vec!["http://localhost:3000".to_owned(), "http://localhost:8080".to_owned()];
        /// Ports of listen, as written there (0 as well), where people without a token may chat under a name that nobody vouches for.
        anonymous_chat: Ports = vec![9093];
        /// A request's head must be complete this long after its first byte, else 408 and close.
        head_timeout_ms: Millis<100, HOUR_MS> = 10_000;
        /// A request's body must be complete this long after its head, else 408 and close.
        body_timeout_ms: Millis<100, HOUR_MS> = 30_000;
        /// A kept-alive connection without a request is closed after this long: browsers open a new one for free.
        idle_timeout_ms: Millis<100, DAY_MS> = 60_000;
        /// Request line and header fields together; beyond it 431 and close. Real browsers stay under 8 KiB.
        head_bytes: Bytes<256, MIB> = 16 * 1024;
        /// Header fields of a request; beyond it 431 and close. Browsers send about 20.
        fields: Count<8, 256> = 64;
        /// The request line alone; beyond it 414 and close. At most head_bytes.
        line_bytes: Bytes<256, MIB> = 8 * 1024;
        /// A body held in memory; beyond it 413 and close.
        body_bytes: Bytes<1024, GIB> = 1024 * 1024;
    }

    /// WebSocket: chat and news at /ws of every HTTP listener.
    [websocket] Websocket {
        /// A client silent for this long is sent a ping: proxies forget connections that are silent for a minute.
        ping_seconds: Seconds<1, 3600> = 54;
        /// A client silent for this long, pings unanswered, is closed. More than ping_seconds.
        pong_seconds: Seconds<2, 7200> = 60;
        /// A message of a user; beyond it the connection is closed with 1009.
        message_bytes: Bytes<256, MIB> = 16 * 1024;
        /// A message of somebody without a token; beyond it the connection is closed with 1009. At most message_bytes.
        anonymous_message_bytes: Bytes<64, MIB> = 512;
    }

    /// TCP sync: one JSON object per line, in the two dialects of the existing clients.
    [tcp] Tcp {
        /// Where the v1 dialect is served (messages `progress`, `broadcast`).
        v1_listen: Addresses = loopback(&[9090]);
        /// Where the v2 dialect is served (messages `progress_update`, `progress_broadcast`).
        v2_listen: Addresses = loopback(&[8081]);
        /// Who receives whose progress: "all" or "user". Unset: all while every listener is on loopback, else user.
        broadcast_scope: Maybe<BroadcastScope> = None;
        /// Broadcasts a second to each client in scope "all"; beyond it events are joined later, never lost. 0: no bound.
        /// While unset it is 0 when limits.messages_per_second is 0, so that a load test measures the server.
        broadcasts_per_second: Rate = 100;
        /// One write for several messages on v2. Off, because the existing v2 client loses the second line of a segment.
        v2_coalesce: Flag = false;
        /// A v1 client must authenticate within this long, else AUTH_TIMEOUT and close. Typed by hand, it takes a while.
        v1_auth_timeout_ms: Millis<100, HOUR_MS> = 30_000;
        /// A v2 client must authenticate within this long, else AUTH_TIMEOUT and close. Programs are quick.
        v2_auth_timeout_ms: Millis<100, HOUR_MS> = 10_000;
        /// A v2 client silent for this long is closed; it sends heartbeats. A v1 client never is: it has none.
        v2_idle_timeout_ms: Millis<1000, DAY_MS> = 1_800_000;
        /// How long a connection may be silent before the kernel asks whether the peer is alive, and closes the dead. 0: never.
        keepalive_seconds: Seconds<0, 32_767> = 60;
        /// A line after authentication; a longer one is skipped without being held, and answered MESSAGE_TOO_LARGE.
        line_bytes: Bytes<1024, GIB> = 1024 * 1024;
        /// A line before authentication, when we hold memory for a stranger; a longer one closes. At most line_bytes.
        line_bytes_before_auth: Bytes<1024, MIB> = 8 * 1024;
    }

    /// Notifications by UDP, one JSON object per datagram, in the two dialects of the existing clients.
    [udp] Udp {
        /// Where the v1 dialect is served (messages `register`, `ping`). An empty list switches it off.
        v1: Addresses = loopback(&[9091]);
        /// Where the v2 dialect is served (messages `SUBSCRIBE`, `PING`). An empty list switches it off.
        v2: Addresses = loopback(&[8082]);
        /// How long an address stays registered after its last datagram. Clients ping every 30 seconds.
        lease_seconds: Seconds<1, 86_400> = 300;
        /// The same for a v1 client that never pings, on loopback and private addresses: the existing one only listens.
        silent_lease_seconds: Seconds<1, 31_536_000> = 86_400;
        /// Registered addresses, some 200 bytes each. When all are taken, one with a token displaces one without, or is refused.
        leases: Count<1, MILLION> = 50_000;
        /// Addresses of one user with a token; one more displaces the one that was silent for longest.
        leases_per_user: Count<1, 1000> = 8;
        /// Addresses without a token on one machine, or behind one router; one more displaces the one that was silent for longest.
        leases_per_address: Count<1, 10_000> = 1000;
        /// Datagrams a second that an address may send, twice as many at once; more are ignored. 0: no limit.
        /// On loopback and private networks each port counts for itself.
        datagrams_per_second: Rate = 20;
        /// Datagrams waiting to be sent by each listener; beyond it the newest is dropped. Room for one to every lease.
        queue: Count<64, MILLION> = 65_536;
        /// How long an acknowledgement is waited for before the notification is sent again; each further wait is twice as long.
        resend_ms: Millis<100, MINUTE_MS> = 1000;
        /// How often a notification is sent at most while nobody acknowledges it.
        resend_attempts: Count<1, 16> = 6;
        /// Believe an address that names a user without a token, and tell it what is stored for that user. Anybody can then
        /// read along: only for isolated networks whose clients can't send tokens.
        allow_unverified_replay: Flag = false;
    }

    /// gRPC: HTTP/2 without TLS, for the services of both families, `mangahub.v1`, health and reflection.
    [grpc] Grpc {
        /// Where gRPC is served: the default ports of all existing clients. An empty list switches it off.
        listen: Addresses = loopback(&[8083, 9092]);
        /// Anyone may change anyone's progress without a token, as the services before this one let them. For an isolated
        /// network only: whoever reaches the port is believed.
        allow_unauthenticated: Flag = false;
        /// Connections at a time, and at most a fiftieth of what RLIMIT_NOFILE leaves; one more is told so and closed. A
        /// client needs one. `limits.connections_per_address` counts here as well.
        connections: Count<1, 65_536> = 1024;
        /// Calls open on one connection; a client waits with the next. The usual number of HTTP/2.
        streams_per_connection: Count<1, 10_000> = 100;
        /// Calls open on all connections; one more is refused with RESOURCE_EXHAUSTED. It bounds the loop's inbox.
        calls: Count<1, 100_000> = 4096;
        /// A connection that says nothing for so long is asked for a sign of life. It has a third of it to answer.
        keepalive_seconds: Seconds<1, 86_400> = 60;
    }

    /// Readers' progress, by whichever wire it comes.
    [sync] Sync {
        /// A device sends a chapter behind the stored one: "last_write_wins" stores it, "furthest" keeps the stored place,
        /// "ask" refuses it and tells both chapters. It is stored in any case with "force": true, or when it begins again.
        conflict: ConflictRule = ConflictRule::LastWriteWins;
    }

    /// HTTP for the operator: /metrics, /varz, /connz and /readyz. Never meant for the internet.
    [internal] Internal {
        /// Where the internal routes are served. Off loopback, token must be set. An empty list switches them off.
        listen: Addresses = loopback(&[8085]);
        /// What a request must carry as `Authorization: Bearer`, at least 16 bytes. Unset: loopback needs none.
        token: Maybe<Token> = None;
    }

    /// Where everything is kept.
    [store] Store {
        /// The database: `sqlite:` and a path. Its folder is made on first start.
        url: StoreUrl = "sqlite:./data/mangahub.db".to_owned();
        /// "full": what was acknowledged survives a power cut. "normal": only a crash of the process, for faster commits.
        synchronous: Synchronous = Synchronous::Full;
        /// Connections for reading, one per read worker that queries at the same time; a query waits when all are busy.
        readers: Count<1, 64> = 2;
        /// Writes joined in one commit at most. More make commits rarer and each reply later; the rest waits for the next.
        group_jobs: Count<1, 100_000> = 1000;
        /// Another catalogue (JSON) to load instead of the one inside the program.
        catalogue: Maybe<FilePath> = None;
    }

    /// Who may come in, and for how long.
    [auth] Auth {
        /// Signs every token, at least 32 bytes. Unset: made on first start and kept in the data folder. Changing it ends all sessions.
        secret: Maybe<SigningSecret> = None;
        /// "open": anyone can register. "closed": only `mangahub admin create-user` makes accounts.
        registration: Registration = Registration::Open;
        /// Work per password check: each step doubles it. 10 takes about 50 ms of a slow worker; 15 over a second.
        bcrypt_cost: Rate<4, 15> = 10;
        /// Life of a v1 token, in days: v1 clients can't refresh, so it is the time between logins.
        v1_token_days: Rate<1, 3650> = 7;
        /// Life of a v2 access token, in minutes: v2 clients refresh by themselves.
        v2_access_minutes: Rate<1, 10_080> = 15;
        /// Life of a v2 refresh token, in days; each use makes a new one.
        v2_refresh_days: Rate<1, 3650> = 7;
    }

    /// Every bound on what clients can make the server hold or do. A limit that may be 0 is switched off by it.
    [limits] Limits {
        /// Open connections; beyond it a new one is told so and closed. 0: the descriptor limit less a reserve of 512.
        connections: Count<0, MILLION> = 0;
        /// Connections of one user, so that one can't take all; beyond it a new one is told so and closed. 0: no limit.
        connections_per_user: Count<0, MILLION> = 100;
        /// Connections from one address; beyond it a new one is closed. 0: no limit, as a proxy or a school is one address.
        connections_per_address: Count<0, MILLION> = 0;
        /// Messages and HTTP changes a second of one user over all connections; beyond it RATE_LIMITED, 429. People are slower. 0: no limit.
        messages_per_second: Rate = 50;
        /// Messages a user may send at once after a pause: a device that was offline catches up.
        messages_burst: Rate<1> = 100;
        /// Received and not yet processed, over all connections; past it the connection that holds most is closed.
        recv_bytes_total: Bytes<MIB, TIB> = 256 * 1024 * 1024;
        /// Queued and not yet sent, over all connections; past it the connection that holds most is closed.
        send_bytes_total: Bytes<MIB, TIB> = 512 * 1024 * 1024;
        /// Queued for one connection: a client that reads slower than events arrive is closed here, and catches up later.
        send_bytes_per_connection: Bytes<4096, GIB> = 1024 * 1024;
        /// Writes one line connection may have in flight; beyond it we stop reading it until one is done. 64 keep the writer busy.
        pipeline_jobs: Count<1, 4096> = 64;
        /// Writes waiting for the writer; when full a request is answered UNAVAILABLE or 503. About a second of work.
        write_queue_jobs: Count<1, MILLION> = 65_536;
        /// Queries waiting for a read worker; when full a request is answered UNAVAILABLE or 503.
        read_queue_jobs: Count<1, MILLION> = 4096;
        /// Password checks and the like waiting for a slow worker; when full 503 with Retry-After. About two seconds of work.
        slow_queue_jobs: Count<1, 65_536> = 64;
        /// Read from one connection in a turn; the rest waits for the next, so that a flood does not starve the others.
        read_budget_bytes: Bytes<4096, GIB> = 64 * 1024;
        /// Written to one connection in a turn; the rest waits for the next.
        write_budget_bytes: Bytes<4096, GIB> = 64 * 1024;
        /// Messages of one connection handled in a turn; the rest waits for the next. 32 measured 15 % slower under load.
        calls_per_turn: Count<1, MILLION> = 256;
        /// New connections accepted in a turn, so that a storm can't stop service. With 64, 3 of 14 storms of 19,000
        /// clients beside a busy disk overflowed the kernel's queue.
        accepts_per_turn: Count<1, 65_536> = 1024;
        /// Finished jobs taken up in a turn; the rest waits for the next.
        completions_per_turn: Count<1, MILLION> = 256;
    }

    /// Chat in rooms and from one to another.
    [chat] Chat {
        /// Days for which what was said is kept, private messages included. 0: for ever.
        keep_days: Rate<0, 36_500> = 365;
    }

    /// Recommendations: what people who like the same series like as well.
    [recommend] Recommend {
        /// Minutes between two looks at what readers like together, in the background. 0: never; then only what is popular is shown.
        interval_minutes: Count<0, 10_080> = 60;
    }

    /// Webhooks: users' own programs, told over HTTP what happens.
    [webhooks] Webhooks {
        /// Whether they may point to this machine and its networks. Off, so that nobody reaches what only the server can.
        allow_private: Flag = false;
        /// Webhooks of one user; beyond it a new one is refused with 409.
        per_user: Count<0, 1000> = 20;
        /// Deliveries on their way at a time, a thread for each; an eighth for one user, a quarter for all with slow receivers.
        calls: Count<1, 64> = 16;
        /// A receiver must have answered after this long, name and connection included; then it has failed.
        timeout_ms: Millis<10, 60_000> = 10_000;
        /// The pause after a first failure. Each further one is twice as long, a quarter more or less by chance.
        backoff_ms: Millis<1, HOUR_MS> = 20_000;
        /// Attempts after which a delivery is given up and kept as a dead letter. 13 take almost a day.
        attempts: Rate<1, 100> = 13;
        /// Deliveries in a row that were given up, after which a webhook is disabled until its owner says otherwise.
        disable_after: Rate<1, 1000> = 10;
        /// Deliveries are forgotten after this long, whatever became of them, and beyond the last 500 of a webhook.
        keep_days: Rate<1, 3650> = 30;
    }

    /// Notifications: what readers are told about the catalogue.
    [notifications] Notifications {
        /// Days that a notification is kept, so that whoever was away finds it. 0: for ever, and the table grows.
        keep_days: Rate<0, 3650> = 90;
    }

    /// The process.
    [server] Server {
        /// Where the database, the signing secret and all else is kept (folder 0700, files 0600). Made on first start.
        data_dir: FilePath = PathBuf::from("./data");
        /// How long a stop waits for jobs and unsent bytes; then the rest is closed. A second signal ends at once.
        drain_seconds: Seconds<0, 3600> = 10;
        /// Threads that query the store. Each takes one of store.readers.
        read_workers: Count<1, 64> = 2;
        /// Threads for password checks and other slow work, at low priority; 0 is one fewer than there are cores, at
        /// least one. As many as cores, and a ping waits 4 ms for its turn instead of 0.5.
        slow_workers: Count<0, 64> = 0;
    }

    /// What the server says about itself, on standard error.
    [log] Log {
        /// A level (error, warn, info, debug, trace), or several by module: "info,mangahub::store=debug".
        level: LogFilter = "info".to_owned();
        /// "text" for people, "json" (one object per line) for machines; "auto": text on a terminal, else json.
        format: LogFormat = LogFormat::Auto;
    }
}

fn loopback(ports: &[u16]) -> Vec<SocketAddr> {
    ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect()
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Above any machine's memory: the bound is there to catch a slip of the keyboard.
const TIB: u64 = 1 << 40;
/// Above what one process can have open; the kernel's own limit comes first.
const MILLION: u64 = 1_000_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
