//! The claims about fan-out: deliveries a second, and processor time for each, by the server and each rival in turn.

use super::duel::{Duel, Side, duel};
use super::field::{Runner, Who};
use super::samples::Pairs;
use super::{STORED_SERIES, Suite, UNKNOWN_SERIES};
use crate::message::Message;
use crate::report::chart::SERVER;
use crate::report::{Chart, FanOutRow, Rival, Row, Verdict, count, verdict};
use crate::scenario::fanout;
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

impl Suite<'_> {
    /// Fan-out by everybody, one kind after the other.
    pub fn fan_out(&mut self) {
        let hub = self.start(Who::Hub, None);
        let publisher = match &hub {
            Some(Runner::Hub(_, publisher)) => Some(publisher.clone()),
            _ => None,
        };
        let rivals = Who::RIVALS.map(|who| (who, self.start(who, publisher.as_ref())));
        for work in WORKS {
            let bytes = self.line_length(hub.as_ref(), work);
            let mut server = hub.as_ref().and_then(|hub| self.ready(hub, work, bytes, SERVER));
            let mut duels = Vec::new();
            for (who, runner) in rivals.iter().filter(|(who, _)| who.does(work)) {
                let rival = runner.as_ref().and_then(|runner| self.ready(runner, work, bytes, who.name()));
                let slices = if *who == Who::Bare { self.scale.slices } else { self.scale.peer_slices };
                let both = server.as_mut().zip(rival);
                duels.push((*who, both.map(|(server, mut rival)| duel(server, &mut rival, slices, self.slice()))));
            }
            self.report_fan_out(work, bytes, duels);
        }
    }

    fn ready(&mut self, runner: &Runner, work: &Work, bytes: usize, name: &str) -> Option<Side> {
        let clients = self.keep(runner.ready(work, self.clients(work), bytes), name)?;
        Some(self.side(clients, runner.pid()))
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

    fn report_fan_out(&mut self, work: &Work, message_bytes: usize, duels: Vec<(Who, Option<Duel>)>) {
        let kind = if work.stored { "stored" } else { "not stored" };
        let clients = count(self.clients(work) as f64);
        let name = format!("fan-out to {clients} TCP clients, series {kind}, {} in flight", work.in_flight);
        let mut row = FanOutRow { work: name, message_bytes, ..FanOutRow::default() };
        self.plot_fan_out(work, &row.work, &duels);
        let (mut rates, mut server_ns, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for (who, duel) in duels {
            let rival = duel.and_then(|duel| {
                rates.extend(&duel.rates.server.numbers);
                server_ns.extend(duel.server_ns);
                costs.push((who, median(&duel.other_ns)));
                self.settle_rival(who, &row.work, duel.rates)
            });
            match who {
                Who::Bare => row.ceiling = rival,
                _ => row.peers.push((who.name(), rival)),
            }
        }
        row.server = median(&rates);
        self.report.rows.push(row.claim(work.floor));
        if work.in_flight == DEEPEST && !work.stored {
            self.report.rows.push(cost_row(&clients, median(&server_ns), &costs));
        }
        self.report.fan_outs.push(row);
    }

    fn settle_rival(&mut self, who: Who, work: &str, rates: Pairs) -> Option<Rival> {
        let ratio = rates.ratio();
        self.settle_of(SERVER, &format!("{work}, beside {}", who.name()), rates.server)?;
        let rate = self.settle_of(who.name(), work, rates.other)?;
        ratio.map(|ratio| Rival { rate, ratio })
    }

    /// The server first, in the colour that it has in every plot.
    fn plot_fan_out(&mut self, work: &Work, name: &str, duels: &[(Who, Option<Duel>)]) {
        let duels = duels.iter().filter(|_| !work.many);
        let mut duels = duels.filter_map(|(who, duel)| Some((*who, duel.as_ref()?))).rev().peekable();
        let title = format!("Latency: {name}");
        // The last one has what the server's clients measured beside all the others too.
        if let Some((_, last)) = duels.peek() {
            self.plot_latency(&title, SERVER, &last.rates.server.latencies);
        }
        duels.for_each(|(who, duel)| self.plot_latency(&title, who.name(), &duel.rates.other.latencies));
    }

    /// What one more idle connection costs everybody in memory, as a note: the claims about the server have their own
    /// rows. Everybody is started anew, for what a fan-out has left free would hide the cost.
    pub fn idle_field(&mut self) {
        let (from, to) = self.scale.idle_field;
        let mut said = Vec::new();
        for who in [Who::Hub].into_iter().chain(Who::RIVALS.into_iter().skip(1).rev()) {
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

/// What a delivery costs the server, beside the others. The claim is against Redis, so the column of ratios, which are
/// to the bare loop, has none.
fn cost_row(clients: &str, server: Option<f64>, others: &[(Who, Option<f64>)]) -> Row {
    let redis = others.iter().find(|(who, _)| who.name() == REDIS).and_then(|(_, cost)| *cost);
    let shown = |(who, cost): &(Who, Option<f64>)| {
        cost.map_or(format!("{} not measured", who.name()), |ns| format!("{} {ns:.0}", who.name()))
    };
    let beside = others.iter().map(shown).collect::<Vec<_>>().join(", ");
    Row {
        work: format!("processor time of a delivery to {clients} TCP clients, {DEEPEST} in flight"),
        number: server.map_or("not measured".to_owned(), |ns| format!("{ns:.0} ns ({beside})")),
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
        let row =
            |server, redis| cost_row("1,000", server, &[(Who::Bare, Some(80.0)), (Who::Broker(Broker::Redis), redis)]);
        assert_eq!(row(Some(90.0), Some(90.0)).verdict, Verdict::Met);
        assert_eq!(row(Some(91.0), Some(90.0)).verdict, Verdict::Missed);
        assert_eq!(row(Some(90.0), None).verdict, Verdict::NoPeer);
        assert_eq!(row(None, Some(90.0)).verdict, Verdict::NotMeasured);
        assert_eq!(row(Some(90.0), None).number, "90 ns (bare loop 80, Redis not measured)");
    }
}
