//! Turns per second beside the bare proxy, and what a turn takes longer than there.

use anyhow::Result;

use super::{chatting, median};
use crate::load::{Channel, Figures, Load};
use crate::machine::processor_us;
use crate::plan::Plan;
use crate::processes::{self, Cota, Helper, Store, bot};
use crate::report::{Row, Section};
use crate::roles::ProxyRole;

/// The bytes of a request that are not prompt.
const REQUEST_FRAME_BYTES: usize = 120;

/// Whom the clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Proxy,
    Cota(Store),
}

impl Side {
    const ALL: [Self; 3] = [Self::Proxy, Self::Cota(Store::Memory), Self::Cota(Store::Sqlite)];

    fn name(self) -> &'static str {
        match self {
            Self::Proxy => "bare proxy",
            Self::Cota(Store::Memory) => "cota, memory",
            Self::Cota(Store::Sqlite) => "cota, SQLite",
        }
    }

    /// The share of the proxy's turns per second that is demanded where processors are the limit.
    fn least_ratio(self) -> f64 {
        match self {
            Self::Proxy => 1.0,
            Self::Cota(Store::Memory) => 0.7,
            Self::Cota(Store::Sqlite) => 0.5,
        }
    }
}

/// The share that is demanded where the model's latency is the limit.
const LEAST_RATIO_WAITING: f64 = 0.95;
const MOST_P50_OVERHEAD_MS: f64 = 1.0;
const MOST_P95_OVERHEAD_MS: f64 = 3.0;

/// The rounds of one comparison, side by side.
struct Cell {
    latency_ms: u64,
    channel: Channel,
    clients: usize,
    /// One entry a round, in the order of [`Side::ALL`].
    rounds: Vec<[Seen; 3]>,
}

/// What the clients saw of one side in one round, and what its process used meanwhile.
struct Seen {
    figures: Figures,
    processor_us: u64,
}

impl Cell {
    fn seen(&self, side: Side) -> impl Iterator<Item = &Seen> {
        let place = Side::ALL.iter().position(|other| *other == side).unwrap_or(0);
        self.rounds.iter().filter_map(move |round| round.get(place))
    }

    fn of(&self, side: Side) -> impl Iterator<Item = &Figures> {
        self.seen(side).map(|seen| &seen.figures)
    }

    /// Processor time of the server for each turn, in microseconds.
    fn processor_us(&self, side: Side) -> f64 {
        median(self.seen(side).map(|seen| seen.processor_us as f64 / seen.figures.all_turns.max(1) as f64).collect())
    }

    fn rate(&self, side: Side) -> f64 {
        median(self.of(side).map(Figures::turns_per_second).collect())
    }

    /// The median of the rounds' ratios: what hits one round hits both of its sides.
    fn ratio(&self, side: Side) -> f64 {
        let pairs = self.of(side).zip(self.of(Side::Proxy));
        median(pairs.map(|(one, proxy)| one.turns_per_second() / proxy.turns_per_second().max(f64::MIN_POSITIVE)).collect())
    }

    fn median_ms(&self, side: Side, pick: fn(&Figures) -> u64) -> f64 {
        median(self.of(side).map(|figures| pick(figures) as f64 / 1000.0).collect())
    }

    fn faults(&self, side: Side) -> (u64, u64) {
        self.of(side).fold((0, 0), |(errors, wrong), figures| (errors + figures.errors, wrong + figures.wrong))
    }
}

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let mut cells = Vec::new();
    for latency_ms in [0, 50] {
        let bench = Bench::start(latency_ms)?;
        for channel in [Channel::Http, Channel::WebSocket] {
            for &clients in &plan.clients {
                let rounds = (0..plan.rounds).map(|round| bench.round(plan, channel, clients, round)).collect::<Result<_>>()?;
                let cell = Cell { latency_ms, channel, clients, rounds };
                eprintln!(
                    "  {latency_ms} ms, {}, {clients}: {:.2} {:.2}",
                    channel.name(),
                    cell.ratio(Side::ALL[1]),
                    cell.ratio(Side::ALL[2])
                );
                cells.push(cell);
            }
        }
    }
    Ok(vec![rates(plan, &cells), overhead(&cells)])
}

/// Everything that is compared, running at once; whoever is not asked waits and costs nothing.
struct Bench {
    latency_ms: u64,
    _llm: Helper,
    proxy: Helper,
    memory: Cota,
    sqlite: Cota,
}

impl Bench {
    fn start(latency_ms: u64) -> Result<Self> {
        let mut llm = chatting(latency_ms)?;
        let [memory, sqlite] = [Store::Memory, Store::Sqlite].map(|store| Cota::start(store, &[bot("chat")], &llm.ready));
        let (memory, sqlite) = (memory?, sqlite?);
        let body_bytes = mean_body_bytes(&memory.address, &mut llm)?;
        let proxy = Helper::start("proxy", &ProxyRole { apibase: llm.ready.clone(), body_bytes })?;
        Ok(Self { latency_ms, _llm: llm, proxy, memory, sqlite })
    }

    fn round(&self, plan: &Plan, channel: Channel, clients: usize, round: usize) -> Result<[Seen; 3]> {
        let mut figures = Vec::new();
        for side in Side::ALL {
            let (address, pid) = match side {
                Side::Proxy => (self.proxy.ready.trim_start_matches("http://"), self.proxy.pid()),
                Side::Cota(Store::Memory) => (self.memory.address.as_str(), self.memory.pid()),
                Side::Cota(Store::Sqlite) => (self.sqlite.address.as_str(), self.sqlite.pid()),
            };
            let run = format!("t{}-{}-{clients}-{round}", self.latency_ms, channel.name());
            let load = Load { address: address.to_owned(), channel, clients, warm_up: plan.warm_up, measured: plan.measured, run };
            let before = processor_us(pid)?;
            let seen = processes::load(&load)?;
            let used = processor_us(pid)?.saturating_sub(before);
            if let Some(fault) = &seen.first_fault {
                eprintln!("  {}, {clients} clients: {fault}", side.name());
            }
            figures.push(Seen { figures: seen, processor_us: used });
        }
        <[Seen; 3]>::try_from(figures).map_err(|_| anyhow::anyhow!("a side was left out"))
    }
}

/// How long the body of a request of the server's is, so that the proxy's are as long.
pub(crate) fn mean_body_bytes(address: &str, llm: &mut Helper) -> Result<usize> {
    let second = std::time::Duration::from_secs(1);
    let load = Load {
        address: address.to_owned(),
        channel: Channel::Http,
        clients: 10,
        warm_up: second / 4,
        measured: second,
        run: "length".to_owned(),
    };
    let before = llm.asked()?;
    processes::load(&load)?;
    let after = llm.asked()?;
    let mean = (after.bytes - before.bytes) / (after.calls - before.calls).max(1);
    Ok(usize::try_from(mean)?.saturating_sub(REQUEST_FRAME_BYTES))
}

fn rates(plan: &Plan, cells: &[Cell]) -> Section {
    let mut rows = Vec::new();
    for cell in cells {
        for side in Side::ALL {
            let (errors, wrong) = cell.faults(side);
            let ratio = cell.ratio(side);
            let mut row = vec![
                format!("{} ms", cell.latency_ms),
                cell.channel.name().to_owned(),
                cell.clients.to_string(),
                side.name().to_owned(),
                format!("{:.0}", cell.rate(side)),
            ];
            let times = [cell.median_ms(side, |f| f.p50_us), cell.median_ms(side, |f| f.p95_us), cell.median_ms(side, |f| f.p99_us)];
            row.extend(times.map(|ms| format!("{ms:.2}")));
            row.extend([format!("{:.0}", cell.processor_us(side)), errors.to_string(), wrong.to_string(), format!("{ratio:.2}")]);
            rows.push(match side {
                Side::Proxy => Row::plain(row),
                Side::Cota(_) => {
                    let least = if waits_for_the_model(cell, cells) { LEAST_RATIO_WAITING } else { side.least_ratio() };
                    let met = ratio >= least && errors == 0 && wrong == 0;
                    Row::with(row, format!("at least {least:.2}"), met)
                }
            });
        }
    }
    Section {
        title: "Turns per second",
        note: format!(
            "Clients in a closed loop, plain chat in `prompts` mode: two LLM calls a turn, a new conversation after ten turns, every\n\
             reply checked. The bare proxy is an axum handler that makes two calls of the same length with reqwest, the\n\
             client that most would take, and nothing else. Each side by turns, {} round(s) of {:.1} s each after {:.1} s of warming up; medians of rates and\n\
             times, median of each round's ratio. At 50 ms the target is {LEAST_RATIO_WAITING} wherever the proxy runs below half of its\n\
             peak of that channel, else that of 0 ms. An error or a wrong reply misses the target. CPU is the\n\
             server's processor time for each turn.",
            plan.rounds,
            plan.measured.as_secs_f64(),
            plan.warm_up.as_secs_f64()
        ),
        head: vec!["model", "channel", "clients", "server", "turns/s", "p50 ms", "p95 ms", "p99 ms", "CPU µs", "errors", "wrong", "ratio"],
        rows,
    }
}

/// Whether the model's latency limits this cell, not the processors.
fn waits_for_the_model(cell: &Cell, cells: &[Cell]) -> bool {
    let alike = cells.iter().filter(|other| other.channel == cell.channel);
    let peak = alike.map(|other| other.rate(Side::Proxy)).fold(0.0, f64::max);
    cell.latency_ms > 0 && cell.rate(Side::Proxy) < peak / 2.0
}

fn overhead(cells: &[Cell]) -> Section {
    let mut rows = Vec::new();
    for cell in cells.iter().filter(|cell| cell.clients == 1 && cell.latency_ms == 0) {
        for store in Store::ALL {
            let over = |pick: fn(&Figures) -> u64| cell.median_ms(Side::Cota(store), pick) - cell.median_ms(Side::Proxy, pick);
            let mut row = |what: &str, over: f64, most: f64| {
                let cells = vec![cell.channel.name().to_owned(), store.name().to_owned(), what.to_owned(), format!("{over:.2}")];
                rows.push(Row::with(cells, format!("at most {most:.0}"), over <= most));
            };
            row("p50", over(|f| f.p50_us), MOST_P50_OVERHEAD_MS);
            row("p95", over(|f| f.p95_us), MOST_P95_OVERHEAD_MS);
        }
    }
    Section {
        title: "What a turn takes longer than the bare proxy's",
        note: "One client, a model without latency; the difference of the medians above.".to_owned(),
        head: vec!["channel", "store", "", "ms"],
        rows,
    }
}
