//! The Worker as it is deployed, in the real workerd: its size, its first turn, its turns beside a bare Worker and object that make
//! the same calls upstream and two writes a turn, and what a socket that sleeps costs.

mod costs;
mod memory;
mod size;
mod start;
mod throughput;
mod workerd;

use std::path::PathBuf;

use anyhow::Result;

use crate::measure::{chatting, long};
use crate::plan::{Long, Plan};
use crate::processes::workspace;
use crate::report::Section;
use crate::suite::{Part, Suite};
use workerd::{Script, Workerd, variables};

/// The Worker.
pub(crate) const SUITE: Suite = Suite {
    command: "cargo xtask bench workers",
    title: "Benchmarks of the Worker",
    page: "docs/benchmarks-workers.md",
    needs: script,
    parts: &[
        Part { name: "size", measure: size::measure },
        Part { name: "start", measure: start::measure },
        Part { name: "throughput", measure: throughput::measure },
        Part { name: "long", measure: long_conversation },
        Part { name: "memory", measure: memory::measure },
        Part { name: "costs", measure: costs::measure },
    ],
};

/// The files that are deployed.
const FILES: [&str; 2] = ["index.js", "index_bg.wasm"];

/// Where the Worker's build is.
fn build() -> PathBuf {
    workspace().join("functions/worker/build")
}

fn script() -> PathBuf {
    build().join("index_bg.wasm")
}

/// What the thousandth turn of a conversation costs beside the tenth.
fn long_conversation(plan: &Plan) -> Result<Vec<Section>> {
    let llm = chatting(0)?;
    let workerd = Workerd::start(Script::Cota, &variables("long", &llm.ready))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let costs = runtime.block_on(long::converse(plan.long, &workerd.address, workerd.pid()))?;
    let Long { conversations, late, window, short } = plan.long;
    Ok(vec![Section {
        title: "A long conversation",
        note: format!(
            "{conversations} conversations at a time over HTTP, one turn after the other: the {window} turns of each around turn {late}, and\n\
             then as many turns of conversations of {short} turns each. The bot's history window is full after a few turns, so that\n\
             prompts are of one length."
        ),
        head: vec!["what", "unit", "short", "long", "growth"],
        rows: vec![long::row("time of a turn", "µs", costs.map(|cost| cost.p50_us))],
    }])
}
