//! From nothing to the first byte of an answer: a process that is started because nobody is there.

use anyhow::Result;

use super::asking::ask;
use super::deployment::{Deployment, runtime};
use crate::measure::median;
use crate::plan::Plan;
use crate::report::{Row, Section};

const MOST_TO_FIRST_BYTE_MS: f64 = 60.0;
/// Starts before those that count: the database has to warm up, too.
const BEFORE: usize = 3;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let times = runtime()?.block_on(starts(plan.starts))?;
    let (first, whole): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
    let (first, whole) = (median(first), median(whole));
    let target = format!("at most {MOST_TO_FIRST_BYTE_MS:.0}");
    let rows = vec![
        Row::with(vec!["to the first byte of a streamed answer".to_owned(), format!("{first:.1}")], target, first <= MOST_TO_FIRST_BYTE_MS),
        Row::plain(vec!["to its end".to_owned(), format!("{whole:.1}")]),
    ];
    let note = format!(
        "A request that finds no environment: the process is started, opens its connections, accepts the message and answers it in two\n\
         calls of a model that takes no time; medians of {} starts, each in a conversation of its own.",
        plan.starts
    );
    Ok(vec![Section { title: "Start", note, head: vec!["from the request", "ms"], rows }])
}

async fn starts(count: usize) -> Result<Vec<(f64, f64)>> {
    let deployment = Deployment::start(None).await?;
    let mut times = Vec::new();
    for n in 0..count + BEFORE {
        deployment.api.forget();
        let answered = ask(&deployment.url.address(), &format!("start-{n}"), "text/event-stream").await?;
        if n >= BEFORE {
            times.push((answered.first.as_secs_f64() * 1000.0, answered.whole.as_secs_f64() * 1000.0));
        }
    }
    Ok(times)
}
