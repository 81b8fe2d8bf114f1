//! What the server says about itself: `tracing` events on standard error.
//!
//! Text for people on a terminal, JSON lines for machines. Whatever a client wrote may end up in a
//! field, so control characters are escaped in both: no user name can forge a line or colour a
//! terminal. Tokens, passwords and secrets are never passed to an event; a value that might be
//! formatted by accident is kept in [`Redacted`].
//!
//! A thread of its own writes the lines, so that a reader who stalls (a paused pager, a full pipe)
//! never stalls the server. 10,000 of them may wait; beyond it new ones are dropped, and how
//! many is said when the server ends.

use std::{
    borrow::Cow,
    env, fmt,
    io::{self, IsTerminal},
};

use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{self, DefaultFields, JsonFields, Writer},
    },
    layer::{Filter, SubscriberExt},
    registry::LookupSpan,
    reload,
    util::{SubscriberInitExt, TryInitError},
};

use crate::config::{Log, LogFormat};
use crate::handlers::text::is_unsafe;

/// How events are written, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text, with colours for a terminal or without.
    Text {
        /// Whether the level and the like are coloured.
        colour: bool,
    },
    /// One JSON object per line.
    Json,
}

impl Format {
    /// What `setting` means for an output: colours only on a terminal, and never under `NO_COLOR`.
    pub fn choose(setting: LogFormat, terminal: bool, no_colour: bool) -> Self {
        match setting {
            LogFormat::Json => Self::Json,
            LogFormat::Auto if !terminal => Self::Json,
            LogFormat::Auto | LogFormat::Text => Self::Text { colour: terminal && !no_colour },
        }
    }
}

/// Why a log filter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected error, warn, info, debug, trace or off, or several by module such as \"info,mangahub::store=debug\"")]
pub struct FilterError;

/// A value that must never be printed: its `Debug` and `Display` say `[redacted]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one who signs or compares with it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

/// Keeps the log's thread running. What still waits is written when it is dropped, for up to a second.
#[must_use]
pub struct Logs {
    level: Level,
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Logs {
    /// What changes the level, for another thread.
    pub fn level(&self) -> Level {
        self.level.clone()
    }
}

/// Changes what is logged while the process runs.
#[derive(Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Logs by this filter from now on.
    pub fn set(&self, level: &str) -> Result<(), FilterError> {
        let filter = filter(level)?;
        // It can only fail once nothing is logged any more.
        self.0.reload(filter).map_err(|_| FilterError)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        match self.dropped.dropped_lines() {
            0 => {}
            lines => tracing::warn!(lines, "the reader of the log was too slow: lines were dropped"),
        }
    }
}

/// Sends every event of the process to standard error. Fails when someone else did so before.
pub fn init(log: &Log) -> Result<Logs, TryInitError> {
    let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let format = Format::choose(log.format, io::stderr().is_terminal(), no_colour);
    // The configuration has checked the filter; only a hand-made one can be wrong, and gets the default.
    let filter = filter(&log.level).unwrap_or_else(|_| EnvFilter::default().add_directive(LevelFilter::INFO.into()));
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).lossy(true).finish(io::stderr());
    let dropped = writer.error_counter();
    let (filter, level) = reload::Layer::new(filter);
    make_subscriber(writer, format, filter).try_init()?;
    Ok(Logs { level: Level(level), dropped, _writer: guard })
}

/// The subscriber behind [`init`], for any writer.
pub fn make_subscriber<W, F>(writer: W, format: Format, filter: F) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    F: Filter<Registry> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text { colour } => layer.with_ansi(colour).fmt_fields(EscapedFields).boxed(),
        Format::Json => {
            layer.with_ansi(false).fmt_fields(JsonFields::new()).event_format(EscapedJson::default()).boxed()
        }
    };
    Registry::default().with(layer.with_filter(filter))
}

/// The filter that `level` describes.
///
/// Stricter than the filter's own reading, which takes a misspelt level for the name of a module
/// and then logs nothing at all.
pub fn filter(level: &str) -> Result<EnvFilter, FilterError> {
    let is_level = |directive: &str| !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
    if !level.split(',').map(str::trim).all(|directive| directive.contains('=') || is_level(directive)) {
        return Err(FilterError);
    }
    EnvFilter::try_new(level).map_err(|_| FilterError)
}

/// `text` with whatever could move a cursor, end a line or reverse what is read written as `\u{…}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_with(text, |char| char.escape_default().to_string())
}

/// Like [`escape`], in the notation that `escaped` gives for a character.
pub fn escape_with(text: &str, escaped: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_unsafe(char) { safe.push_str(&escaped(char)) } else { safe.push(char) }
    }
    Cow::Owned(safe)
}

/// Fields as text, escaped, the message included.
struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut plain = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut plain), fields)?;
        writer.write_str(&escape(&plain))
    }
}

/// JSON whose strings are escaped beyond what JSON asks for, so that it is safe on a terminal too.
struct EscapedJson(format::Format<format::Json>);

impl Default for EscapedJson {
    fn default() -> Self {
        Self(format::format().json().flatten_event(true))
    }
}

impl<S> FormatEvent<S, JsonFields> for EscapedJson
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        // Outside its strings JSON has no such character, and inside them this is its own notation.
        let safe = escape_with(line.trim_end(), |char| format!("\\u{:04x}", u32::from(char)));
        writeln!(writer, "{safe}")
    }
}

/// Lines that may wait for the reader of the log: some three megabytes, and minutes of a busy server.
const LINES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const FORGERY: &str = "a\nERROR x\x1b[31m\u{9b}31m\u{202e}";

    /// What is logged by `events` in `format`.
    fn logged(format: Format, events: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = make_subscriber(move || writer.clone(), format, filter("info").unwrap());
        tracing::subscriber::with_default(subscriber, events);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn forge() {
        let span = tracing::info_span!("conn", name = %FORGERY);
        let _inside = span.enter();
        tracing::info!(user = %FORGERY, quoted = FORGERY, debugged = ?FORGERY, "hello {FORGERY}");
    }

    /// A client's text in message, fields and span can't add a line or a control character, as text and as JSON.
    #[test]
    fn a_name_cannot_forge_a_line() {
        for format in [Format::Text { colour: false }, Format::Json] {
            let output = logged(format, forge);
            let line = output.strip_suffix('\n').unwrap();
            assert!(line.contains("hello a"), "{line:?}");
            assert!(!line.contains(is_unsafe), "{line:?}");
        }
    }

    /// On a terminal the colours are ours alone: the only escape sequences are those an innocent event has too.
    #[test]
    fn colours_are_ours_alone() {
        let output = logged(Format::Text { colour: true }, forge);
        assert!(output.contains("\x1b["), "{output:?}");
        assert!(!output.contains("\x1b[31m"), "{output:?}");
        assert_eq!(output.matches('\n').count(), 1, "{output:?}");
    }

    /// A JSON line parses, and gives back exactly what was logged.
    #[test]
    fn json_keeps_the_value() {
        let output = logged(Format::Json, || tracing::info!(user = FORGERY, "joined"));
        let event: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(event["user"], FORGERY);
        assert_eq!(event["message"], "joined");
    }

    /// Colours need a terminal and the absence of NO_COLOR; auto is JSON off a terminal.
    #[test]
    fn format_follows_the_output() {
        assert_eq!(Format::choose(LogFormat::Auto, true, false), Format::Text { colour: true });
        assert_eq!(Format::choose(LogFormat::Auto, true, true), Format::Text { colour: false });
        assert_eq!(Format::choose(LogFormat::Auto, false, false), Format::Json);
        assert_eq!(Format::choose(LogFormat::Text, false, false), Format::Text { colour: false });
        assert_eq!(Format::choose(LogFormat::Json, true, false), Format::Json);
    }

    /// Levels and directives are accepted; a misspelt level is refused rather than taken for a module.
    #[test]
    fn a_misspelt_level_is_refused() {
        for good in ["info", "WARN", "off", "info,mangahub::store=debug", "mangahub=trace, warn"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "inof", "info,", "mangahub=loud", "loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }

    /// A redacted value says nothing, however it is printed.
    #[test]
    fn redacted_says_nothing() {
        let secret = Redacted::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[redacted] [redacted] Some([redacted])");
        assert_eq!(*secret.expose(), "hunter2");
    }
}
