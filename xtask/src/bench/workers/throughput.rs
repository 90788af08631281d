//! Turns per second beside the bare Worker and object, and what a turn takes longer than there.

use anyhow::Result;
use cota_testkit::services::workerd::Workerd;

use super::{bare, cota};
use crate::load::{Channel, Figures, Load};
use crate::machine::processor_us;
use crate::measure::throughput::mean_body_bytes;
use crate::measure::{chatting, median};
use crate::plan::Plan;
use crate::processes;
use crate::report::{Row, Section};

/// How long the model takes, in milliseconds, and how many conversations there are: so many that both sides have all the work that
/// they can do, and few enough that neither keeps the one thread of workerd busy all the time.
const LOADS: [(u64, usize); 3] = [(0, 50), (50, 50), (50, 10)];
const LEAST_RATIO: f64 = 0.7;
const MOST_OVERHEAD_MS: f64 = 10.0;

/// What is measured in a round, in this order.
#[derive(Clone, Copy)]
enum Side {
    Bare,
    Cota,
}

const SIDES: [(Side, &str); 2] = [(Side::Bare, "bare pair"), (Side::Cota, "cota")];

/// What the clients saw of one side in one round, and the processor time of a turn there.
struct Seen {
    figures: Figures,
    processor_us: f64,
}

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let mut rows = Vec::new();
    for (latency_ms, conversations) in LOADS {
        rows.extend(at(latency_ms, conversations, plan)?);
    }
    Ok(vec![Section {
        title: "Turns per second",
        note: format!(
            "Clients in a closed loop over HTTP, each with a conversation of plain chat in `prompts` mode: two LLM calls a turn, a new one\n\
             after ten turns, every reply checked. The bare pair is a Worker and an object in JavaScript that make two calls of the same\n\
             length and two writes to the object's SQLite, and nothing else: the limit. Each side by turns, {} round(s) of {:.1} s each\n\
             after {:.1} s of warming up; medians of the rounds, the ratio and the difference taken within each. CPU is workerd's\n\
             processor time for each turn.",
            plan.rounds,
            plan.measured.as_secs_f64(),
            plan.warm_up.as_secs_f64()
        ),
        head: vec!["model", "clients", "server", "turns/s", "p50 ms", "p95 ms", "CPU µs", "faults", "ratio", "p50 more, ms"],
        rows,
    }])
}

/// Both sides with a model that takes so long, and so many conversations.
fn at(latency_ms: u64, conversations: usize, plan: &Plan) -> Result<Vec<Row>> {
    let mut llm = chatting(latency_ms)?;
    let cota = cota("chat", &llm.ready)?;
    let body_bytes = mean_body_bytes(&cota.address, &mut llm)?.to_string();
    let bare = bare(&llm.ready, &body_bytes)?;
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        let run = format!("w{latency_ms}-{conversations}-{round}");
        rounds.push([talk(plan, &bare, conversations, &run)?, talk(plan, &cota, conversations, &run)?]);
    }
    Ok(SIDES.iter().zip([0, 1]).map(|((side, name), place)| row((latency_ms, conversations), *side, name, &rounds, place)).collect())
}

fn talk(plan: &Plan, server: &Workerd, conversations: usize, run: &str) -> Result<Seen> {
    let load = Load {
        address: server.address.clone(),
        channel: Channel::Http,
        clients: conversations,
        warm_up: plan.warm_up,
        measured: plan.measured,
        run: run.to_owned(),
    };
    let before = processor_us(server.id())?;
    let figures = processes::load(&load)?;
    let used = processor_us(server.id())?.saturating_sub(before);
    if let Some(fault) = &figures.first_fault {
        eprintln!("  {run}: {fault}");
    }
    let processor_us = used as f64 / figures.all_turns.max(1) as f64;
    Ok(Seen { figures, processor_us })
}

fn row((latency_ms, conversations): (u64, usize), side: Side, name: &str, rounds: &[[Seen; 2]], place: usize) -> Row {
    let over = |value: &dyn Fn(&[Seen; 2], &Seen) -> f64| {
        median(rounds.iter().filter_map(|round| round.get(place).map(|seen| value(round, seen))).collect())
    };
    let p50 = |seen: &Seen| seen.figures.p50_us as f64 / 1000.0;
    let ratio = over(&|[bare, _], seen| seen.figures.turns_per_second() / bare.figures.turns_per_second().max(f64::MIN_POSITIVE));
    let more = over(&|[bare, _], seen| p50(seen) - p50(bare));
    let faults: u64 = rounds.iter().filter_map(|round| round.get(place)).map(|seen| seen.figures.errors + seen.figures.wrong).sum();
    let cells = vec![
        format!("{latency_ms} ms"),
        conversations.to_string(),
        name.to_owned(),
        format!("{:.0}", over(&|_, seen| seen.figures.turns_per_second())),
        format!("{:.2}", over(&|_, seen| p50(seen))),
        format!("{:.2}", over(&|_, seen| seen.figures.p95_us as f64 / 1000.0)),
        format!("{:.0}", over(&|_, seen| seen.processor_us)),
        faults.to_string(),
        format!("{ratio:.2}"),
        format!("{more:.2}"),
    ];
    match (side, latency_ms) {
        (Side::Bare, _) => Row::plain(cells),
        (Side::Cota, 0) => Row::with(cells, format!("ratio at least {LEAST_RATIO}"), ratio >= LEAST_RATIO && faults == 0),
        (Side::Cota, _) => Row::with(cells, format!("at most {MOST_OVERHEAD_MS:.0} ms more"), more <= MOST_OVERHEAD_MS && faults == 0),
    }
}
