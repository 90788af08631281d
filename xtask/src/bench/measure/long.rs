//! What the thousandth turn of a conversation costs beside the tenth.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{chatting, median};
use crate::load::http::HttpClient;
use crate::machine::read_and_written;
use crate::plan::{Long, Plan};
use crate::processes::{Cota, Store, bot};
use crate::report::{Row, Section};

const MOST_GROWTH: f64 = 1.2;

/// The cost of the turns around one turn, on one store.
#[derive(Clone, Copy, Default)]
struct Cost {
    p50_us: f64,
    read: f64,
    written: f64,
}

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let memory = runtime.block_on(converse(plan.long, Store::Memory))?;
    let sqlite = runtime.block_on(converse(plan.long, Store::Sqlite))?;
    let rows = vec![
        row("time of a turn, memory", "µs", memory.map(|cost| cost.p50_us)),
        row("time of a turn, SQLite", "µs", sqlite.map(|cost| cost.p50_us)),
        row("store bytes read a turn", "bytes", beyond(sqlite.map(|cost| cost.read), memory.map(|cost| cost.read))),
        row("store bytes written a turn", "bytes", beyond(sqlite.map(|cost| cost.written), memory.map(|cost| cost.written))),
    ];
    let Long { conversations, early, late, window } = plan.long;
    Ok(vec![Section {
        title: "A long conversation",
        note: format!(
            "{conversations} conversations of {late} turns over HTTP, one turn at a time; the {window} turns around turn {early} and those around\n\
             turn {late}. The bot's history window is full long before turn {early}, so that prompts are of one length. Store bytes are\n\
             what the process reads and writes on SQLite less what it does on memory, where the traffic is the same."
        ),
        head: vec!["what", "unit", "early", "late", "growth"],
        rows,
    }])
}

fn beyond([early, late]: [f64; 2], [early_base, late_base]: [f64; 2]) -> [f64; 2] {
    [early - early_base, late - late_base]
}

fn row(what: &str, unit: &str, [early, late]: [f64; 2]) -> Row {
    let growth = late / early.max(1.0);
    let cells = vec![what.to_owned(), unit.to_owned(), format!("{early:.0}"), format!("{late:.0}"), format!("{growth:.2}")];
    Row::with(cells, format!("at most {MOST_GROWTH}"), growth <= MOST_GROWTH)
}

/// Talks to the end and returns the early and the late cost.
async fn converse(long: Long, store: Store) -> Result<[Cost; 2]> {
    let llm = chatting(0)?;
    let cota = Cota::start(store, &[bot("long")], &llm.ready)?;
    let mut client = HttpClient::connect(&cota.address).await?;
    let half = long.window / 2;
    let first = (long.early + 1).saturating_sub(half).max(1);
    let mut costs = [Cost::default(); 2];
    let mut turn = 1;
    for (cost, from) in costs.iter_mut().zip([first, long.late + 1 - half]) {
        speak(&mut client, long, turn..from).await?;
        let (read, written) = read_and_written(cota.pid())?;
        let times = speak(&mut client, long, from..from + long.window).await?;
        let (read_then, written_then) = read_and_written(cota.pid())?;
        let turns = times.len() as f64;
        *cost = Cost { p50_us: median(times), read: (read_then - read) as f64 / turns, written: (written_then - written) as f64 / turns };
        turn = from + long.window;
    }
    Ok(costs)
}

/// Takes every conversation through some turns, side by side; each turn's microseconds.
async fn speak(client: &mut HttpClient, long: Long, turns: std::ops::Range<usize>) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for turn in turns {
        for conversation in 0..long.conversations {
            let begin = Instant::now();
            let (status, page) = client.say(&format!("long-{conversation}"), &format!("turn #{turn}")).await?;
            times.push(begin.elapsed().as_micros() as f64);
            ensure!(status == 200 && page.contains(&format!("\"It is #{turn}.\"")), "turn {turn}: HTTP status {status}: {page}");
        }
    }
    Ok(times)
}
