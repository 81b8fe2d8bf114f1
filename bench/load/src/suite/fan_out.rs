//! The claims about fan-out: deliveries a second, and processor time for each, by everybody in turn.

use super::field::{Runner, Who};
use super::{STORED_SERIES, Samples, Suite, UNKNOWN_SERIES};
use crate::message::Message;
use crate::report::{Chart, FanOutRow, Row, Verdict, count, verdict};
use crate::scenario::{Pace, fanout};
use crate::stats::median;

/// One kind of fan-out.
pub struct Work {
    /// To thousands, or to as many as other rows have.
    many: bool,
    /// Whether the series is in the catalogue, so that every message was stored before.
    pub stored: bool,
    /// How many messages may be on their way.
    pub in_flight: usize,
    /// What is asked for, of the bare loop.
    floor: f64,
}

impl Work {
    const fn to(many: bool, in_flight: usize) -> Self {
        Self { many, stored: false, in_flight, floor: 0.9 }
    }

    /// What the server is sent.
    pub fn message(&self) -> Message {
        let manga = if self.stored { STORED_SERIES } else { UNKNOWN_SERIES };
        Message::Progress { manga: manga.to_owned(), stored: self.stored }
    }
}

/// What one of them did in the rounds so far.
#[derive(Default)]
struct Turns {
    rates: Samples,
    ns_per_delivery: Vec<f64>,
}

impl Suite<'_> {
    /// Fan-out by everybody in turn.
    pub fn fan_out(&mut self) {
        let hub = self.start(Who::Hub, None);
        let publisher = match &hub {
            Some(Runner::Hub(_, publisher)) => Some(publisher.clone()),
            _ => None,
        };
        let lengths: Vec<usize> = WORKS.iter().map(|work| self.line_length(hub.as_ref(), work)).collect();
        let mut hub = hub;
        let field = Who::ALL.map(|who| match who {
            Who::Hub => hub.take(),
            _ => self.start(who, publisher.as_ref()),
        });
        let mut taken: Vec<[Turns; Who::ALL.len()]> = WORKS.iter().map(|_| Default::default()).collect();
        let pace = Pace::seconds(self.scale.fan_out_seconds);
        for _ in 0..self.scale.fan_out_rounds {
            for ((work, turns), &bytes) in WORKS.iter().zip(&mut taken).zip(&lengths) {
                for ((who, runner), turns) in Who::ALL.iter().zip(&field).zip(turns) {
                    if let Some(runner) = runner.as_ref().filter(|_| who.does(work)) {
                        turns.take(runner, work, self.clients(work), bytes, pace);
                    }
                }
            }
        }
        for ((work, turns), bytes) in WORKS.iter().zip(taken).zip(lengths) {
            self.report_fan_out(work, turns, bytes);
        }
    }

    fn clients(&self, work: &Work) -> usize {
        if work.many { self.scale.many_clients } else { self.scale.fan_out_clients }
    }

    /// The length of the server's broadcast, which the others then carry too.
    fn line_length(&mut self, hub: Option<&Runner>, work: &Work) -> usize {
        let Some(Runner::Hub(hub, publisher)) = hub else { return FALLBACK_BYTES };
        let tokens = std::slice::from_ref(&publisher.token);
        let measured = hub.tcp().and_then(|tcp| fanout::line_length(tcp, tokens, work.message()));
        self.keep(measured, "measuring a broadcast's length").unwrap_or(FALLBACK_BYTES)
    }

    fn report_fan_out(&mut self, work: &Work, turns: [Turns; Who::ALL.len()], message_bytes: usize) {
        let kind = if work.stored { "stored" } else { "not stored" };
        let clients = count(self.clients(work) as f64);
        let name = format!("fan-out to {clients} TCP clients, series {kind}, {} in flight", work.in_flight);
        let mut row = FanOutRow { work: name, message_bytes, ..FanOutRow::default() };
        // The server first, in the colour that it has in every plot.
        for (who, turns) in Who::ALL.into_iter().zip(&turns).filter(|(who, _)| !work.many && who.does(work)).rev() {
            self.plot_latency(&format!("Latency: {}", row.work), who.name(), &turns.rates.latencies);
        }
        let mut costs = Vec::new();
        for (who, turns) in Who::ALL.into_iter().zip(turns).filter(|(who, _)| who.does(work)) {
            let rate = self.settle_of(who.name(), &row.work, turns.rates);
            costs.push((who, rate.and_then(|_| median(&turns.ns_per_delivery))));
            match who {
                Who::Hub => row.server = rate,
                Who::Bare => row.ceiling = rate,
                _ => row.peers.push((who.name(), rate)),
            }
        }
        self.report.rows.push(row.claim(work.floor));
        if work.in_flight == DEEPEST && !work.stored {
            self.report.rows.push(cost_row(&clients, &costs));
        }
        self.report.fan_outs.push(row);
    }

    /// What one more idle connection costs everybody in memory, as a note: the claims about the server have their own
    /// rows. Everybody is started anew, for what a fan-out has left free would hide the cost.
    pub fn idle_field(&mut self) {
        let (from, to) = self.scale.idle_field;
        let mut said = Vec::new();
        for who in Who::ALL.into_iter().filter(|who| *who != Who::Bare).rev() {
            let runner = self.start(who, None);
            let bytes = runner.and_then(|runner| self.keep(runner.idle(from, to), who.name()));
            if let Some(bytes) = bytes.flatten() {
                let about = "What each connection more adds, of everybody who was measured; further left is better.";
                let chart = || Chart::dots(IDLE, about, "bytes of user space");
                self.report.chart(IDLE, chart).place(who.name(), "one more idle connection that hears messages", bytes);
            }
            said.push(bytes.flatten().map_or(format!("{} not measured", who.name()), |bytes| {
                format!("{} {} bytes", who.name(), count(bytes))
            }));
        }
        self.note(format!(
            "User-space memory of one more idle connection that hears messages, {} to {}: {}.",
            count(from as f64),
            count(to as f64),
            said.join(", ")
        ));
    }
}

impl Turns {
    fn take(&mut self, runner: &Runner, work: &Work, clients: usize, bytes: usize, pace: Pace) {
        let costs = &mut self.ns_per_delivery;
        self.rates.take(|| {
            let turn = runner.run(work, clients, bytes, pace)?;
            costs.push(turn.ns_per_delivery);
            Ok((turn.deliveries_per_second, turn.latency))
        });
    }
}

/// What a delivery costs the server, beside the others. The claim is against Redis, so the column of ratios, which are
/// to the bare loop, has none.
fn cost_row(clients: &str, costs: &[(Who, Option<f64>)]) -> Row {
    let of = |name: &str| costs.iter().find(|(who, _)| who.name() == name).and_then(|(_, cost)| *cost);
    let shown = |(who, cost): &(Who, Option<f64>)| {
        cost.map_or(format!("{} not measured", who.name()), |ns| format!("{} {ns:.0}", who.name()))
    };
    let (server, redis) = (of(Who::Hub.name()), of(REDIS));
    let others: Vec<String> = costs.iter().filter(|(who, _)| *who != Who::Hub).map(shown).collect();
    Row {
        work: format!("processor time of a delivery to {clients} TCP clients, {DEEPEST} in flight"),
        number: server.map_or("not measured".to_owned(), |ns| format!("{ns:.0} ns ({})", others.join(", "))),
        ratio: None,
        floor: format!("at most {REDIS}'s"),
        verdict: match (server, redis) {
            (None, _) => Verdict::NotMeasured,
            (Some(_), None) => Verdict::NoPeer,
            (Some(server), Some(redis)) => verdict(server <= redis),
        },
    }
}

/// The plot of everybody's idle connections.
const IDLE: &str = "Memory of one idle connection, everybody's";

/// Unknown series to a thousand and to many at three depths, and a stored one at the greatest.
const WORKS: &[Work] = &[
    Work::to(false, 1),
    Work::to(false, 16),
    Work::to(false, DEEPEST),
    Work { many: false, stored: true, in_flight: DEEPEST, floor: 0.75 },
    Work::to(true, 1),
    Work::to(true, 16),
    Work::to(true, DEEPEST),
];

/// As many in flight as any row has.
const DEEPEST: usize = 64;

/// Who a delivery is compared with: the one that has one thread and one loop, too.
const REDIS: &str = "Redis";

/// About a broadcast's length, for a run without the server.
const FALLBACK_BYTES: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Broker;

    /// Shows that a delivery must not cost more than Redis's, and that without Redis nothing is claimed.
    #[test]
    fn a_delivery_is_compared_with_redis() {
        let row = |server, redis| {
            cost_row("1,000", &[(Who::Bare, Some(80.0)), (Who::Broker(Broker::Redis), redis), (Who::Hub, server)])
        };
        assert_eq!(row(Some(90.0), Some(90.0)).verdict, Verdict::Met);
        assert_eq!(row(Some(91.0), Some(90.0)).verdict, Verdict::Missed);
        assert_eq!(row(Some(90.0), None).verdict, Verdict::NoPeer);
        assert_eq!(row(None, Some(90.0)).verdict, Verdict::NotMeasured);
        assert_eq!(row(Some(90.0), None).number, "90 ns (bare loop 80, Redis not measured)");
    }
}
