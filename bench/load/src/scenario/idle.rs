//! Idle connections: what one more costs the server in user-space memory.
//!
//! The cost is a slope over crowds of several sizes, so that what the server needs anyway falls out of it. Memory
//! is read when it has stopped moving. Whether the cost is constant shows between one size and the next: the
//! dearest step tells. Connections may be held by several processes.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Pace;
use super::task::{Job, Setup, Task, Work, share};
use crate::client::Swarm;
use crate::crew::Crew;
use crate::drive::Tally;
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::progress::Progress;
use crate::report::count;
use crate::server::settled_rss_anon_bytes;
use crate::sources::Sources;

/// What a crowd of idle connections costs.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// `RssAnon` with the small crowd, in bytes.
    pub small_bytes: u64,
    /// `RssAnon` with the large crowd, in bytes.
    pub large_bytes: u64,
    /// User-space bytes for each connection more.
    pub bytes_per_connection: f64,
}

/// What crowds of several sizes cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// How many connections there were, and `RssAnon` then, in bytes.
    pub points: Vec<(usize, u64)>,
    /// User-space bytes for each connection more: the slope of the line that fits the points best.
    pub bytes_per_connection: f64,
    /// The same from each size to the next.
    pub steps: Vec<f64>,
}

impl Growth {
    /// The slope and the steps of the points.
    fn of(points: Vec<(usize, u64)>) -> Self {
        let slope = |from: &(usize, u64), to: &(usize, u64)| (to.1 as f64 - from.1 as f64) / (to.0 - from.0) as f64;
        let steps = points.windows(2).map(|pair| slope(&pair[0], &pair[1])).collect();
        let numbers: Vec<(f64, f64)> = points.iter().map(|(size, bytes)| (*size as f64, *bytes as f64)).collect();
        Self { bytes_per_connection: fitted_slope(&numbers), points, steps }
    }

    /// The dearest step.
    pub fn dearest_step(&self) -> f64 {
        self.steps.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The slope of the line with the least squares through some points.
pub fn fitted_slope(points: &[(f64, f64)]) -> f64 {
    let length = points.len().max(1) as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / length;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / length;
    let shared: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let square: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if square > 0.0 { shared / square } else { 0.0 }
}

/// Grows from `from` to `to` authenticated connections, with `tokens` in turn, and measures process `pid` at both.
pub fn run(tcp: SocketAddr, pid: u32, tokens: &[String], from: usize, to: usize) -> Result<Idle, LoadError> {
    let growth = grow(tcp, pid, tokens, &[from, to], Sources::default(), 1, &Progress::HIDDEN)?;
    let (small_bytes, large_bytes) = (growth.points[0].1, growth.points[1].1);
    Ok(Idle { small_bytes, large_bytes, bytes_per_connection: growth.bytes_per_connection })
}

/// Grows through `sizes` of authenticated connections, with `tokens` in turn, held by so many processes, and
/// measures process `pid` at each.
pub fn grow(
    tcp: SocketAddr,
    pid: u32,
    tokens: &[String],
    sizes: &[usize],
    sources: Sources,
    processes: usize,
    progress: &Progress,
) -> Result<Growth, LoadError> {
    if sizes.len() < 2 || !sizes.is_sorted_by(|small, large| small < large) {
        return Err(LoadError::Missing("two sizes or more are needed, each larger than the one before".to_owned()));
    }
    let work = Work::Hold(Holds { tcp, tokens: tokens.to_vec(), sizes: sizes.to_vec() });
    let setup = Setup { sources, pace: Pace::seconds(1.0), pid: None };
    let mut crew = Crew::ready(Job { setup, work }, processes, progress)?;
    let measure = |size: &usize| {
        crew.step(progress)?;
        Ok((*size, settled_rss_anon_bytes(pid)?))
    };
    Ok(Growth::of(sizes.iter().map(measure).collect::<Result<_, LoadError>>()?))
}

/// Who connects, and keeps still.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holds {
    /// The server's v1 TCP address.
    pub tcp: SocketAddr,
    /// The tokens to authenticate with, in turn.
    pub tokens: Vec<String>,
    /// How many connections there are after each step.
    pub sizes: Vec<usize>,
}

impl Holds {
    /// The part of one of several processes: its own tokens too, where there are many.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let sizes = self.sizes.iter().map(|size| share(*size, process, of)).collect();
        let tokens = match self.tokens.len() >= of {
            true => self.tokens.iter().skip(process).step_by(of.max(1)).cloned().collect(),
            false => self.tokens.clone(),
        };
        Self { tcp: self.tcp, tokens, sizes }
    }

    /// No connections yet: the first step makes the first crowd.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        let swarm = Swarm::from_sources(self.tcp, setup.sources)?;
        Ok(Box::new(Holding { swarm, tokens: self.tokens, sizes: self.sizes.into() }))
    }
}

struct Holding {
    swarm: Swarm,
    tokens: Vec<String>,
    sizes: std::collections::VecDeque<usize>,
}

impl Task for Holding {
    fn step(&mut self, _: &Progress) -> Result<Vec<Tally>, LoadError> {
        let size = self.sizes.pop_front().ok_or_else(|| LoadError::Missing("no size is left".to_owned()))?;
        let more = size.saturating_sub(self.swarm.len());
        log_in_all(&mut self.swarm, more, &self.tokens)?;
        Ok(Vec::new())
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} bytes for each connection more", self.bytes_per_connection)?;
        let mut from = None;
        for (at, (size, bytes)) in self.points.iter().enumerate() {
            let step = from.map_or(String::new(), |_| format!(", {:.1} for each more", self.steps[at - 1]));
            from = Some(size);
            write!(f, "\n{} connections: {:.1} MiB{step}", count(*size as f64), *bytes as f64 / 1048576.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the slope is the line's, that a step that is dearer than the others is seen, and both in words.
    #[test]
    fn a_slope_and_its_steps() {
        let growth = Growth::of(vec![(1000, 1_200_000), (2000, 1_400_000), (4000, 1_800_000)]);
        assert_eq!((growth.bytes_per_connection, growth.steps.clone()), (200.0, vec![200.0, 200.0]));
        assert!(growth.to_string().contains("2,000 connections: 1.3 MiB, 200.0 for each more"), "{growth}");
        let steep = Growth::of(vec![(1000, 0), (2000, 200_000), (3000, 700_000)]);
        assert_eq!((steep.dearest_step(), steep.bytes_per_connection), (500.0, 350.0));
    }

    /// Shows that sizes must grow, and that there must be two.
    #[test]
    fn sizes_must_grow() {
        let nobody = "127.0.0.1:9".parse().unwrap();
        for sizes in [&[1000][..], &[2000, 1000], &[1000, 1000]] {
            assert!(grow(nobody, 1, &[], sizes, Sources::default(), 1, &Progress::HIDDEN).is_err());
        }
    }
}
