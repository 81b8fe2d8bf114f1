//! The operator's pages: metrics, the server in general, its connections.
//!
//! Names of metrics follow Prometheus: one prefix, base units, counters end in `_total`, no label
//! with a user or a connection in it. `/varz` and `/connz` are JSON for people and scripts.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::http1::{Method, Response, weight};
use super::routes::{Family, HttpInput, ROUTES, Route};
use super::time::rfc3339;
use super::triggers;
use crate::handlers::api::{ApiError, ConnzQuery, ErrorKind, MetricsFormat, Reply};
use crate::handlers::monitor;

/// The routes of the internal listener.
pub fn routes() -> Vec<Route> {
    use Method::Get;
    let mut routes = vec![
        Route::http(Family::Internal, Get, "/metrics", monitor::METRICS, |input| Ok(metrics_format(input))),
        Route::http(Family::Internal, Get, "/varz", monitor::VARZ, |_| Ok(())),
        Route::http(Family::Internal, Get, "/connz", monitor::CONNZ, read_connz),
        Route::http(Family::Internal, Get, "/readyz", monitor::READY, |_| Ok(())),
    ];
    routes.extend(triggers::routes());
    routes
}

/// OpenMetrics for whoever asks for it by name and not rather for text.
fn metrics_format(input: &HttpInput<'_>) -> MetricsFormat {
    let wanted = |name: &[u8]| {
        let ranges = input.request.headers.all("accept").flat_map(|value| value.split(|&byte| byte == b','));
        let weights = ranges.filter_map(move |range| {
            let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let named = parts.next().is_some_and(|range| range.eq_ignore_ascii_case(name));
            if named { weight(parts) } else { None }
        });
        weights.max().unwrap_or(0)
    };
    let (open, text) = (wanted(b"application/openmetrics-text"), wanted(b"text/plain"));
    if open > 0 && open >= text { MetricsFormat::Open } else { MetricsFormat::Text }
}

fn read_connz(input: &HttpInput<'_>) -> Result<ConnzQuery, ApiError> {
    let number = |name: &str, usual: usize| {
        let Some(text) = input.query(name) else { return Ok(usual) };
        text.parse::<usize>().map_err(|_| ApiError::invalid(format!("{name}: expected a whole number")))
    };
    let state = input.query("state").unwrap_or("any".into());
    if !["open", "closed", "any"].contains(&state.as_ref()) {
        return Err(ApiError::invalid("state: expected one of open, closed, any"));
    }
    Ok(ConnzQuery {
        open: state != "closed",
        closed: state != "open",
        protocol: input.query("protocol").map(|text| text.into_owned()),
        user: input.query("user").map(|text| text.into_owned()),
        offset: number("offset", 0)?,
        limit: number("limit", CONNZ_LIMIT)?.min(CONNZ_LIMIT),
    })
}

/// An answer of the internal listener: plain, since people and load balancers read it.
pub fn respond(outcome: Result<Reply, ApiError>) -> Response {
    match outcome {
        Ok(Reply::Page(content_type, body)) => Response::new(200, content_type, body),
        Ok(Reply::Health { .. }) => Response::text(200, "ready\n"),
        Ok(Reply::Notices(_)) => Response::empty(202),
        Ok(Reply::Allowed(methods)) => Response::empty(204).with_header("Allow", methods),
        Ok(_) => Response::empty(204),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &ApiError) -> Response {
    let response = Response::text(error.kind.codes().0, format!("{}\n", error.message));
    match (error.kind, &error.detail) {
        (ErrorKind::MethodNotAllowed, Some(methods)) => response.with_header("Allow", methods.clone()),
        _ => response,
    }
}

/// A number with its labels and what it means, before it is printed.
#[derive(Debug)]
pub struct Metric {
    /// Its name without the prefix, and without `_total` for a counter.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Whether it only grows.
    pub counter: bool,
    /// The name of its label, if it has one.
    pub label: Option<&'static str>,
    /// A value for each label, or one without.
    pub values: Vec<(String, f64)>,
}

impl Metric {
    /// A single number.
    pub fn one(name: &'static str, help: &'static str, counter: bool, value: f64) -> Self {
        Self { name, help, counter, label: None, values: vec![(String::new(), value)] }
    }

    /// A number for each value of a label.
    pub fn each(
        name: &'static str,
        help: &'static str,
        counter: bool,
        label: &'static str,
        values: impl Iterator<Item = (String, f64)>,
    ) -> Self {
        Self { name, help, counter, label: Some(label), values: values.collect() }
    }
}

/// Prints metrics.
pub fn metrics_page(metrics: Vec<Metric>, format: MetricsFormat) -> Reply {
    match format {
        MetricsFormat::Text => {
            Reply::Page("text/plain; version=0.0.4; charset=utf-8", text_page(&metrics).into_bytes())
        }
        MetricsFormat::Open => open_page(metrics),
    }
}

/// Prometheus' own text format: a counter's whole name is announced, and nothing marks the end.
fn text_page(metrics: &[Metric]) -> String {
    let mut page = String::new();
    for metric in metrics {
        let (total, kind) = if metric.counter { ("_total", "counter") } else { ("", "gauge") };
        let name = format!("mangahub_{}{total}", metric.name);
        page += &format!("# HELP {name} {}.\n# TYPE {name} {kind}\n", metric.help);
        for (value_of, value) in &metric.values {
            let label = metric.label.map(|label| format!("{{{label}=\"{}\"}}", escape_label(value_of)));
            page += &format!("{name}{} {value}\n", label.unwrap_or_default());
        }
    }
    page
}

fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn open_page(metrics: Vec<Metric>) -> Reply {
    let mut registry = Registry::with_prefix("mangahub");
    registry.register_collector(Box::new(Snapshot(metrics)));
    let mut text = String::new();
    // Writing to a string has nothing that could fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    Reply::Page("application/openmetrics-text; version=1.0.0; charset=utf-8", text.into_bytes())
}

#[derive(Debug)]
struct Snapshot(Vec<Metric>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for metric in &self.0 {
            let kind = if metric.counter { MetricType::Counter } else { MetricType::Gauge };
            let mut descriptor = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            let write = |value, encoder: MetricEncoder<'_>| match metric.counter {
                true => ConstCounter::new(value).encode(encoder),
                false => ConstGauge::new(value).encode(encoder),
            };
            match (metric.label, &metric.values[..]) {
                (None, [(_, value)]) => write(*value, descriptor)?,
                (name, values) => {
                    for (label, value) in values {
                        write(*value, descriptor.encode_family(&[(name.unwrap_or("kind"), label.as_str())])?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A JSON page, laid out for reading.
pub fn json_page(page: &Value) -> Reply {
    let text = serde_json::to_string_pretty(page).unwrap_or_default() + "\n";
    Reply::Page("application/json", text.into_bytes())
}

/// One connection, open or closed, as `/connz` shows it.
pub struct ConnRow<'a> {
    /// Its number.
    pub id: u64,
    /// Its remote address.
    pub peer: std::net::SocketAddr,
    /// What it speaks.
    pub protocol: &'static str,
    /// Who it is.
    pub user: Option<&'a str>,
    /// Since when, and till when or its last activity, in Unix milliseconds.
    pub times_ms: (i64, i64),
    /// Bytes received and sent.
    pub bytes: (u64, u64),
    /// Messages received and sent.
    pub messages: (u32, u32),
    /// What only an open or only a closed one has.
    pub more: Value,
}

impl ConnRow<'_> {
    /// The row as JSON. `ended` tells a closed one from an open one.
    pub fn json(&self, ended: bool) -> Value {
        let mut row = json!({
            "cid": self.id,
            "ip": self.peer.ip(),
            "port": self.peer.port(),
            "protocol": self.protocol,
            "user": self.user,
            "start": rfc3339(self.times_ms.0),
            "in_bytes": self.bytes.0,
            "out_bytes": self.bytes.1,
            "in_msgs": self.messages.0,
            "out_msgs": self.messages.1,
        });
        row[if ended { "stop" } else { "last_activity" }] = json!(rfc3339(self.times_ms.1));
        if let (Value::Object(row), Value::Object(more)) = (&mut row, &self.more) {
            row.extend(more.clone());
        }
        row
    }
}

/// The calls that were made, by name.
pub fn call_counts(calls: &[(u64, u64)]) -> Vec<(String, (u64, u64))> {
    let mut by_name: Vec<(String, (u64, u64))> = Vec::new();
    for (route, (made, refused)) in ROUTES.iter().zip(calls) {
        match by_name.iter_mut().find(|(name, _)| name == route.name) {
            Some((_, sum)) => *sum = (sum.0 + made, sum.1 + refused),
            None => by_name.push((route.name.to_owned(), (*made, *refused))),
        }
    }
    by_name
}

/// How many connections `/connz` shows at once.
const CONNZ_LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels can't break out of their quotes, and every sample stands below what announces it.
    #[test]
    fn the_text_format_announces_whole_names() {
        let values = [("a\"b\\c\nd".to_owned(), 2.0)];
        let metrics = [
            Metric::one("size_bytes", "How large", false, 1.5),
            Metric::each("calls", "Calls made", true, "call", values.into_iter()),
        ];
        let wanted = "# HELP mangahub_size_bytes How large.\n# TYPE mangahub_size_bytes gauge\nmangahub_size_bytes 1.5\n\
            # HELP mangahub_calls_total Calls made.\n# TYPE mangahub_calls_total counter\n\
            mangahub_calls_total{call=\"a\\\"b\\\\c\\nd\"} 2\n";
        assert_eq!(text_page(&metrics), wanted);
    }
}
