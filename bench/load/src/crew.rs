//! One process or several that do the same work at the same time.
//!
//! A process has a bound on descriptors and one core's time. So a large crowd is shared: this program starts itself
//! again, gives each process its part of the [`Job`] on standard input, waits until all of them are ready, and then
//! has them take each step at once. They answer with tallies, which can be added up. A process ends when its
//! standard input closes, so none outlives us.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::drive::Tally;
use crate::error::{Doing, LoadError};
use crate::guard;
use crate::progress::Progress;
use crate::scenario::task::{Job, Task};
use crate::server::end_within;

/// Work that is ready everywhere.
pub enum Crew {
    /// In this process.
    Here(Box<dyn Task>),
    /// In others.
    Processes(Vec<Process>),
}

impl Crew {
    /// Has `job` prepared by so many processes; by this one if that is one.
    pub fn ready(job: Job, processes: usize, progress: &Progress) -> Result<Self, LoadError> {
        match processes {
            0 | 1 => Ok(Crew::Here(job.prepare()?)),
            2..=PROCESSES_MAX => {
                let started = (0..processes).map(|process| Process::start(&job.part(process, processes)));
                let started = started.collect::<Result<Vec<_>, _>>()?;
                started.iter().try_for_each(|process| process.hear(progress).map(drop))?;
                Ok(Crew::Processes(started))
            }
            _ => Err(LoadError::Missing(format!("--processes is at most {PROCESSES_MAX}"))),
        }
    }

    /// Takes the next step everywhere at once, and returns all tallies.
    pub fn step(&mut self, progress: &Progress) -> Result<Vec<Tally>, LoadError> {
        match self {
            Crew::Here(task) => task.step(progress),
            Crew::Processes(processes) => {
                processes.iter_mut().try_for_each(|process| process.tell(STEP))?;
                let mut tallies = Vec::new();
                for process in processes {
                    tallies.extend(process.hear(progress)?);
                }
                Ok(tallies)
            }
        }
    }
}

/// Another process of this program.
pub struct Process {
    child: Child,
    /// Closed to end it.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What a process is told first.
#[derive(Serialize, Deserialize)]
struct Order {
    allow_remote_target: bool,
    job: Job,
}

/// What it says to that and to each step.
type Said = Result<Vec<Tally>, String>;

impl Process {
    fn start(job: &Job) -> Result<Self, LoadError> {
        let own = std::env::current_exe().doing("find this binary")?;
        let mut child = Command::new(own)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("start a process")?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let said = BufReader::new(stdout).lines().map_while(Result::ok);
                said.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
            });
        }
        let mut process = Self { stdin: child.stdin.take(), child, lines };
        let order = Order { allow_remote_target: guard::remote_target_is_allowed(), job: job.clone() };
        process.tell(&written(&order)?)?;
        Ok(process)
    }

    fn tell(&mut self, line: &str) -> Result<(), LoadError> {
        let stdin = self.stdin.as_mut().ok_or_else(|| LoadError::Missing("a process has ended".to_owned()))?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).doing("tell a process what to do")
    }

    /// Waits for what it says next.
    fn hear(&self, progress: &Progress) -> Result<Vec<Tally>, LoadError> {
        loop {
            match self.lines.recv_timeout(TICK) {
                Ok(line) => return read::<Said>(&line)?.map_err(LoadError::Wrong),
                Err(RecvTimeoutError::Timeout) => progress.tick(Instant::now(), || (0, 0)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(LoadError::Missing(format!("process {} has ended", self.child.id())));
                }
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        end_within(&mut self.child, END_MAX);
    }
}

/// The other side: takes an order and steps from standard input until it closes.
pub fn serve() -> Result<(), LoadError> {
    let mut lines = std::io::stdin().lines().map_while(Result::ok);
    let Some(order) = lines.next() else { return Ok(()) };
    let order: Order = read(&order)?;
    if order.allow_remote_target {
        guard::allow_remote_target();
    }
    let mut task = match order.job.prepare() {
        Ok(task) => task,
        Err(error) => return say(&Err(error.to_string())),
    };
    say(&Ok(Vec::new()))?;
    for _ in lines {
        say(&task.step(&Progress::HIDDEN).map_err(|error| error.to_string()))?;
    }
    Ok(())
}

fn say(said: &Said) -> Result<(), LoadError> {
    let line = written(said)?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).doing("say what was measured")
}

fn written(value: &impl Serialize) -> Result<String, LoadError> {
    serde_json::to_string(value).map_err(|error| LoadError::Wrong(format!("could not be written as JSON: {error}")))
}

fn read<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T, LoadError> {
    serde_json::from_str(line).map_err(|error| LoadError::Wrong(format!("a process said: {line}: {error}")))
}

/// How a process of ours is started; nobody types it.
pub const COMMAND: &str = "process";

const STEP: &str = "step";

/// Each takes a core's time; more of them than this measure the scheduler.
const PROCESSES_MAX: usize = 64;

/// How often the line for the user moves while we wait.
const TICK: Duration = Duration::from_millis(200);

/// A process has nothing to save.
const END_MAX: Duration = Duration::from_secs(2);
