//! From nothing to the first reply, and how long a check takes.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::median;
use crate::load::http::HttpClient;
use crate::plan::Plan;
use crate::processes::{Cota, Store, binary, workspace};
use crate::report::{Row, Section};

const MOST_TO_FIRST_REPLY_MS: f64 = 100.0;
const MOST_CHECK_MS: f64 = 20.0;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for store in Store::ALL {
        let times = (0..plan.starts).map(|_| runtime.block_on(first_reply(store))).collect::<Result<Vec<f64>>>()?;
        let cells = vec![format!("start to first reply, {}", store.name()), format!("{:.1}", median(times))];
        rows.push(row(cells, MOST_TO_FIRST_REPLY_MS));
    }
    let times = (0..plan.starts).map(|_| check()).collect::<Result<Vec<f64>>>()?;
    rows.push(row(vec!["cota check examples/weather".to_owned(), format!("{:.1}", median(times))], MOST_CHECK_MS));
    Ok(vec![Section {
        title: "Start",
        note: format!(
            "`examples/weather` with the offline model, trained at each start; medians of {} starts with an empty store.",
            plan.starts
        ),
        head: vec!["what", "ms"],
        rows,
    }])
}

fn row(cells: Vec<String>, most: f64) -> Row {
    let met = cells.last().and_then(|ms| ms.parse::<f64>().ok()).is_some_and(|ms| ms <= most);
    Row::with(cells, format!("at most {most:.0}"), met)
}

async fn first_reply(store: Store) -> Result<f64> {
    let begin = Instant::now();
    let cota = Cota::start(store, &[workspace().join("examples/weather")], "")?;
    let mut client = HttpClient::connect(&cota.address).await?;
    let (status, page) = client.say("first", "What is the weather in Oslo tomorrow?").await?;
    let ms = begin.elapsed().as_secs_f64() * 1000.0;
    ensure!(status == 200 && page.contains("Oslo"), "HTTP status {status}: {page}");
    Ok(ms)
}

fn check() -> Result<f64> {
    let begin = Instant::now();
    let status = Command::new(binary())
        .args(["check", "examples/weather"])
        .current_dir(workspace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let ms = begin.elapsed().as_secs_f64() * 1000.0;
    ensure!(status.success(), "`cota check examples/weather` failed ({status})");
    Ok(ms)
}
