//! How long a large plan is checked.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use cota_core::task::{Plan as TaskPlan, StepSource};

use super::TaskFolder;
use crate::measure::median;
use crate::plan::Plan;
use crate::processes::binary;
use crate::report::{Row, Section};

/// Steps of the plan: the most that a task may have.
const STEPS: usize = 1_000;
/// Steps that each waits for, where there are so many before it.
const WAITS_FOR: usize = 10;
/// How often it is checked.
const TIMES: usize = 50;
/// Milliseconds that a check may take.
const MOST_MS: f64 = 10.0;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let steps = steps();
        let began = Instant::now();
        let checked = TaskPlan::check(steps, &["a0"]);
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        ensure!(checked.is_ok(), "the plan is refused");
    }
    let checked = median(took);
    let rows = vec![
        Row::with(vec!["the plan alone".to_owned(), format!("{checked:.2}")], format!("at most {MOST_MS} ms"), checked <= MOST_MS),
        Row::plain(vec!["`cota check`, its start and reading the files included".to_owned(), format!("{:.1}", whole(plan)?)]),
    ];
    Ok(vec![Section {
        title: "Checking a plan",
        note: format!(
            "{STEPS} steps, each of which waits for {WAITS_FOR} others and passes their results on; the median of {TIMES} checks."
        ),
        head: vec!["what", "ms"],
        rows,
    }])
}

/// Milliseconds of `cota check` for a task with the same plan.
fn whole(plan: &Plan) -> Result<f64> {
    let written = |step: &StepSource| {
        let (query, after) = (step.startquery.clone().unwrap_or_default(), step.dependencies.join(", "));
        format!("  - {{name: {}, agent: a0, startquery: '{query}', dependencies: [{after}]}}\n", step.name)
    };
    let folder = TaskFolder::new(1, &steps().iter().map(written).collect::<String>())?;
    let mut took = Vec::new();
    for _ in 0..plan.starts {
        let began = Instant::now();
        let mut command = Command::new(binary());
        let status =
            command.arg("check").arg(folder.path()).env("COTA_BENCH_LLM", "http://127.0.0.1:9/v1").stdout(Stdio::null()).status()?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        ensure!(status.success(), "`cota check` failed ({status})");
    }
    Ok(median(took))
}

fn steps() -> Vec<StepSource> {
    let step = |n: usize| {
        let dependencies: Vec<String> = (n.saturating_sub(WAITS_FOR)..n).map(|other| format!("s{other}")).collect();
        let results: Vec<String> = dependencies.iter().map(|other| format!("{{{{results.{other}}}}}")).collect();
        let startquery = Some(format!("say {n} {}", results.join(" ")));
        StepSource { name: format!("s{n}"), agent: "a0".to_owned(), startquery, dependencies, ..StepSource::default() }
    };
    (0..STEPS).map(step).collect()
}
