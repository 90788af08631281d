//! Whether steps that may run at once do.

use anyhow::Result;

use super::{TaskFolder, run};
use crate::load::http::HttpClient;
use crate::measure::{chatting, median};
use crate::plan::Plan;
use crate::processes::{Cota, Store};
use crate::report::{Row, Section};

/// Steps, each by an agent of its own.
const STEPS: usize = 100;
/// Milliseconds of a call to the model.
const LATENCY_MS: u64 = 500;
/// How many times the longest path the whole may take.
const MOST: f64 = 1.3;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let mut llm = chatting(LATENCY_MS)?;
    let steps: String = (0..STEPS).map(|n| format!("  - {{name: s{n}, agent: a{n}, startquery: say {n}}}\n")).collect();
    let folder = TaskFolder::new(STEPS, &steps)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for store in Store::ALL {
        let cota = Cota::start(store, &[folder.path()], &llm.ready)?;
        let mut client = runtime.block_on(HttpClient::connect(&cota.address))?;
        let before = llm.asked()?.calls;
        let mut took = Vec::new();
        for round in 0..plan.rounds {
            took.push(run::took_ms(&runtime.block_on(run::run(&mut client, &format!("wide-{round}")))?)?);
        }
        let calls = (llm.asked()?.calls - before) as f64 / (plan.rounds * STEPS) as f64;
        let path = calls * LATENCY_MS as f64;
        let took = median(took);
        let cells = vec![store.name().to_owned(), format!("{took:.0}"), format!("{path:.0}"), format!("{:.2}", took / path)];
        rows.push(Row::with(cells, format!("at most {MOST}"), took <= MOST * path));
    }
    Ok(vec![Section {
        title: "Parallel steps",
        note: format!(
            "{STEPS} steps of {STEPS} agents that wait for nothing, `max_concurrent: 100`, a model that takes {LATENCY_MS} ms a call. The longest\n\
             path is what the model alone takes for one step."
        ),
        head: vec!["store", "all steps, ms", "the longest path, ms", "times the path"],
        rows,
    }])
}
