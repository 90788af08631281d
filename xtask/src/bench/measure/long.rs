//! What the thousandth turn of a conversation costs beside the tenth.
//!
//! Both are measured in one store of one size, over so many turns that it moves its log into its file several times: a store
//! that has just been made has yet to pay for that, whatever the conversation.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::{chatting, median};
use crate::load::http::HttpClient;
use crate::machine::read_and_written;
use crate::plan::{Long, Plan};
use crate::processes::{Cota, Store, bot};
use crate::report::{Row, Section};

const MOST_GROWTH: f64 = 1.2;

/// The cost of a turn, on one store.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) p50_us: f64,
    read: f64,
    written: f64,
}

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let on = |store| {
        let llm = chatting(0)?;
        let cota = Cota::start(store, &[bot("long")], &llm.ready)?;
        runtime.block_on(converse(plan.long, &cota.address, cota.pid()))
    };
    let (memory, sqlite) = (on(Store::Memory)?, on(Store::Sqlite)?);
    let rows = vec![
        row("time of a turn, memory", "µs", memory.map(|cost| cost.p50_us)),
        row("time of a turn, SQLite", "µs", sqlite.map(|cost| cost.p50_us)),
        row("store bytes read a turn", "bytes", beyond(sqlite.map(|cost| cost.read), memory.map(|cost| cost.read))),
        row("store bytes written a turn", "bytes", beyond(sqlite.map(|cost| cost.written), memory.map(|cost| cost.written))),
    ];
    let Long { conversations, late, window, short } = plan.long;
    Ok(vec![Section {
        title: "A long conversation",
        note: format!(
            "{conversations} conversations at a time over HTTP, one turn after the other: the {window} turns of each around turn {late}, and\n\
             then, in the same store, as many turns of conversations of {short} turns each. The bot's history window is full after a few\n\
             turns, so that prompts are of one length. Store bytes are what the process reads and writes on SQLite less what it\n\
             does on memory, where the traffic is the same."
        ),
        head: vec!["what", "unit", "short", "long", "growth"],
        rows,
    }])
}

fn beyond([early, late]: [f64; 2], [early_base, late_base]: [f64; 2]) -> [f64; 2] {
    [early - early_base, late - late_base]
}

/// What a short conversation and a long one cost, and what came on top.
pub(crate) fn row(what: &str, unit: &str, [early, late]: [f64; 2]) -> Row {
    let growth = late / early.max(1.0);
    let cells = vec![what.to_owned(), unit.to_owned(), format!("{early:.0}"), format!("{late:.0}"), format!("{growth:.2}")];
    Row::with(cells, format!("at most {MOST_GROWTH}"), growth <= MOST_GROWTH)
}

/// Talks to the bot `long`, and returns the cost of the short conversations and of the long ones.
pub(crate) async fn converse(long: Long, address: &str, pid: u32) -> Result<[Cost; 2]> {
    let mut talk = Talk { client: HttpClient::connect(address).await?, pid, conversations: long.conversations };
    let first = (long.late + 1).saturating_sub(long.window / 2).max(1);
    talk.speak("long", 1..first).await?;
    let late = talk.cost(&[("long".to_owned(), first..first + long.window)]).await?;
    let names = (0..long.window / long.short).map(|round| (format!("short-{round}"), 1..long.short + 1));
    let early = talk.cost(&names.collect::<Vec<_>>()).await?;
    Ok([early, late])
}

/// A client of a server.
struct Talk {
    client: HttpClient,
    pid: u32,
    conversations: usize,
}

impl Talk {
    /// What a turn of these costs: conversations of each name, and their turns.
    async fn cost(&mut self, turns: &[(String, Range<usize>)]) -> Result<Cost> {
        let (read, written) = read_and_written(self.pid)?;
        let mut times = Vec::new();
        for (name, turns) in turns {
            times.extend(self.speak(name, turns.clone()).await?);
        }
        let (read_then, written_then) = read_and_written(self.pid)?;
        let turns = times.len() as f64;
        Ok(Cost { p50_us: median(times), read: (read_then - read) as f64 / turns, written: (written_then - written) as f64 / turns })
    }

    /// Takes conversations through some turns, side by side; each turn's microseconds.
    async fn speak(&mut self, name: &str, turns: Range<usize>) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for turn in turns {
            for conversation in 0..self.conversations {
                let begin = Instant::now();
                let (status, page) = self.client.say(&format!("{name}-{conversation}"), &format!("turn #{turn}")).await?;
                times.push(begin.elapsed().as_micros() as f64);
                ensure!(status == 200 && page.contains(&format!("\"It is #{turn}.\"")), "turn {turn}: HTTP status {status}: {page}");
            }
        }
        Ok(times)
    }
}
