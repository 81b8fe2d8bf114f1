//! The bounds of the loop: what each one is for. The configuration says their values and reasons.

/// The bounds of the loop. `config::Limits` says the reasons.
#[derive(Debug, Clone)]
pub struct ReactorLimits {
    /// Open connections; whoever comes then is told and closed.
    pub connections_max: usize,
    /// Bytes in all receive buffers; beyond it the connection that holds the most is closed.
    pub recv_bytes_total: usize,
    /// Bytes owed to all peers; beyond it the connection that is owed the most is closed.
    pub send_bytes_total: usize,
    /// Bytes owed to one peer; beyond it it is closed as a slow consumer.
    pub send_bytes_max: usize,
    /// Jobs that a pipelining connection may have outstanding; then it is not read.
    pub pipeline_jobs: u16,
    /// Bytes read from one connection in one turn.
    pub read_budget_bytes: usize,
    /// Bytes written to one connection in one turn.
    pub write_budget_bytes: usize,
    /// Messages handled for one connection in one turn.
    pub calls_per_turn: usize,
    /// Connections accepted in one turn.
    pub accepts_per_turn: usize,
    /// Datagrams received by one socket in one turn, and sent by it.
    pub datagrams_per_turn: usize,
    /// Datagrams waiting to be sent by one socket; beyond it the newest is dropped.
    pub datagrams_queued: usize,
    /// Jobs finished in one turn.
    pub completions_per_turn: usize,
    /// How long a job may take before its connection is told and closed.
    pub job_timeout_ms: u64,
    /// How long a peer may take nothing of what it is owed.
    pub write_timeout_ms: u64,
    /// How long draining may take.
    pub drain_ms: u64,
}

impl Default for ReactorLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            recv_bytes_total: 256 << 20,
            send_bytes_total: 512 << 20,
            send_bytes_max: 1 << 20,
            pipeline_jobs: 64,
            read_budget_bytes: 64 << 10,
            write_budget_bytes: 64 << 10,
            calls_per_turn: 256,
            accepts_per_turn: 1024,
            datagrams_per_turn: 1024,
            datagrams_queued: 65_536,
            completions_per_turn: 256,
            job_timeout_ms: 30_000,
            write_timeout_ms: 30_000,
            drain_ms: 10_000,
        }
    }
}
