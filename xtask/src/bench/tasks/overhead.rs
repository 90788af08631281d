//! How much of a step is the scheduler's: a chain of steps, and the same messages to the same agents without a task.

use anyhow::Result;

use super::{TaskFolder, run};
use crate::load::http::HttpClient;
use crate::measure::{chatting, median};
use crate::plan::Plan;
use crate::processes::{Cota, Store};
use crate::report::{Row, Section};

/// Steps of the chain, one after the other.
const STEPS: usize = 200;
/// Agents that take turns in it.
const AGENTS: usize = 10;
/// Milliseconds of a step that may be the scheduler's.
const MOST_MS: f64 = 1.0;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let llm = chatting(0)?;
    let folder = TaskFolder::new(AGENTS, &chain())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for store in Store::ALL {
        let cota = Cota::start(store, &[folder.path()], &llm.ready)?;
        let mut client = runtime.block_on(HttpClient::connect(&cota.address))?;
        let (mut steps, mut turns) = (Vec::new(), Vec::new());
        // The first round warms up.
        for round in 0..=plan.rounds {
            let (step, turn) = runtime.block_on(one_round(&mut client, round))?;
            if round > 0 {
                steps.push(step);
                turns.push(turn);
            }
        }
        let own: Vec<f64> = steps.iter().zip(&turns).map(|(step, turn)| step - turn).collect();
        let (step, turn, own) = (median(steps), median(turns), median(own));
        let cells = vec![store.name().to_owned(), format!("{step:.2}"), format!("{turn:.2}"), format!("{own:.2}")];
        rows.push(Row::with(cells, format!("at most {MOST_MS} ms"), own <= MOST_MS));
    }
    Ok(vec![Section {
        title: "The scheduler's part of a step",
        note: format!(
            "A chain of {STEPS} steps by {AGENTS} agents in turns, whose model answers at once. The same messages are then sent to the same\n\
             agents over HTTP, without a task. What a step takes more is the scheduler's: its log, and passing results on."
        ),
        head: vec!["store", "a step, ms", "its agent's turn alone, ms", "the scheduler's, ms"],
        rows,
    }])
}

/// Milliseconds of a step in a task, and of an agent's turn without one.
async fn one_round(client: &mut HttpClient, round: usize) -> Result<(f64, f64)> {
    let report = run::run(client, &format!("chain-{round}")).await?;
    let step = run::took_ms(&report)? / STEPS as f64;
    let mut took = Vec::new();
    // As many messages to each agent as in the task, in a conversation of its own.
    let texts: Vec<String> = (0..STEPS / AGENTS).map(|n| format!("say {n}")).collect();
    for agent in 0..AGENTS {
        took.extend(run::ask(client, &format!("measured/a{agent}"), &format!("alone-{round}"), &texts).await?);
    }
    Ok((step, took.iter().sum::<f64>() / took.len() as f64))
}

fn chain() -> String {
    let step = |n: usize| {
        let after = if n == 0 { String::new() } else { format!(", dependencies: [s{}]", n - 1) };
        format!("  - {{name: s{n}, agent: a{}, startquery: say {n}{after}}}\n", n % AGENTS)
    };
    (0..STEPS).map(step).collect()
}
