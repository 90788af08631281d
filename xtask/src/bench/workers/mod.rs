//! The Worker as it is deployed, in the real workerd: its size, its first turn, its turns beside a bare Worker and object that make
//! the same calls upstream and two writes a turn, and what a socket that sleeps costs.

mod costs;
mod memory;
mod size;
mod start;
mod throughput;

use std::path::PathBuf;

use anyhow::Result;
use cota_testkit::llm_server::scripts::CHOOSE;
use cota_testkit::services::workerd::{Bindings, Script, Workerd};
use cota_testkit::targets::workerd::script;

use crate::measure::{chatting, long};
use crate::plan::{Long, Plan};
use crate::processes::workspace;
use crate::report::Section;
use crate::suite::{Part, Suite};

/// The Worker.
pub(crate) const SUITE: Suite = Suite {
    command: "cargo xtask bench workers",
    title: "Benchmarks of the Worker",
    page: "docs/benchmarks-workers.md",
    needs: wasm,
    parts: &[
        Part { name: "size", measure: size::measure },
        Part { name: "start", measure: start::measure },
        Part { name: "throughput", measure: throughput::measure },
        Part { name: "long", measure: long_conversation },
        Part { name: "memory", measure: memory::measure },
        Part { name: "costs", measure: costs::measure },
    ],
};

/// Where the Worker's build is.
fn build() -> PathBuf {
    workspace().join("functions/worker/build")
}

fn wasm() -> PathBuf {
    build().join("index_bg.wasm")
}

/// The Worker as it is deployed, with a bot whose model is at this address. It logs what goes wrong.
pub(crate) fn cota(bot: &str, llm: &str) -> Result<Workerd> {
    cota_that_logs("warn", bot, llm)
}

/// As [`cota`], logging from this level on.
fn cota_that_logs(level: &str, bot: &str, llm: &str) -> Result<Workerd> {
    started(&script(&build()), &[("COTA_DEFAULT_BOT", bot), ("COTA_BENCH_LLM", llm), ("COTA_LOG_LEVEL", level)])
}

/// A Worker and an object that do the least.
fn bare(llm: &str, body_bytes: &str) -> Result<Workerd> {
    let script = Script {
        modules: vec![workspace().join("xtask/src/bench/workers/bare.js")],
        objects: vec![("ConversationObject", "CONVERSATIONS")],
    };
    started(&script, &[("COTA_BENCH_LLM", llm), ("BODY_BYTES", body_bytes), ("CHOOSE", CHOOSE)])
}

/// On the disk of the machine, as what is measured writes.
fn started(script: &Script, variables: &[(&str, &str)]) -> Result<Workerd> {
    Ok(Workerd::start(tempfile::tempdir()?, script, Bindings { variables, bots: None }))
}

/// What the thousandth turn of a conversation costs beside the tenth.
fn long_conversation(plan: &Plan) -> Result<Vec<Section>> {
    let llm = chatting(0)?;
    let workerd = cota("long", &llm.ready)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let costs = runtime.block_on(long::converse(plan.long, &workerd.address, workerd.id()))?;
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
