//! How much of a step is the scheduler's: a chain of steps, and the same messages to the same agents without a task.

use anyhow::Result;
use cota_testkit::services::workerd::Workerd;
use xtask::measured::{AGENTS, CHAIN, STEPS, write_chain};

use super::run;
use crate::load::http::HttpClient;
use crate::measure::{chatting, median};
use crate::plan::Plan;
use crate::processes::{Cota, Store, workspace};
use crate::report::{Row, Section};
use crate::workers;

/// Where tasks run.
#[derive(Clone, Copy)]
enum Place {
    Laptop(Store),
    Workerd,
}

impl Place {
    const ALL: [Self; 3] = [Self::Laptop(Store::Memory), Self::Laptop(Store::Sqlite), Self::Workerd];

    fn name(self) -> &'static str {
        match self {
            Self::Laptop(store) => store.name(),
            Self::Workerd => "workerd",
        }
    }

    /// Milliseconds of a step that may be the scheduler's.
    fn most_ms(self) -> f64 {
        match self {
            Self::Laptop(_) => 1.0,
            Self::Workerd => 15.0,
        }
    }

    /// Starts whatever serves the chain there.
    fn start(self, llm: &str) -> Result<Served> {
        Ok(match self {
            Self::Laptop(store) => Served::Laptop(Cota::start(store, &[workspace().join(CHAIN)], llm)?),
            Self::Workerd => Served::Workerd(workers::cota("weather", llm)?),
        })
    }
}

/// What serves the chain until it is dropped.
enum Served {
    Laptop(Cota),
    Workerd(Workerd),
}

impl Served {
    fn address(&self) -> &str {
        match self {
            Self::Laptop(cota) => &cota.address,
            Self::Workerd(workerd) => &workerd.address,
        }
    }
}

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    write_chain(&workspace())?;
    let llm = chatting(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for place in Place::ALL {
        let served = place.start(&llm.ready)?;
        let mut client = runtime.block_on(HttpClient::connect(served.address()))?;
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
        let cells = vec![place.name().to_owned(), format!("{step:.2}"), format!("{turn:.2}"), format!("{own:.2}")];
        rows.push(Row::with(cells, format!("at most {} ms", place.most_ms()), own <= place.most_ms()));
    }
    Ok(vec![Section {
        title: "The scheduler's part of a step",
        note: format!(
            "A chain of {STEPS} steps by {AGENTS} agents in turns, whose model answers at once. The same messages are then sent to the same\n\
             agents over HTTP, without a task. What a step takes more is the scheduler's: its log, and passing results on."
        ),
        head: vec!["where", "a step, ms", "its agent's turn alone, ms", "the scheduler's, ms"],
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
