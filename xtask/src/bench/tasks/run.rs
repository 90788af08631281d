//! Running a task over HTTP, and asking its agents without it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value as Json, json};

use crate::load::http::HttpClient;

/// How often a running task is looked at: seldom, as whoever looks reads its whole log beside it, and its times are its own.
const LOOK: Duration = Duration::from_millis(200);
/// Only catches a hang.
const HANGS: Duration = Duration::from_secs(300);

/// Starts the task and waits for its end. Yields its report.
pub(super) async fn run(client: &mut HttpClient, id: &str) -> Result<Json> {
    let (status, page) = client.send("POST", "/v1/tasks", &json!({"task_id": id, "input": "tea"}).to_string()).await?;
    ensure!(status == 202, "the task did not start: HTTP status {status}: {page}");
    let began = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let (_, page) = client.send("GET", &format!("/v1/tasks/{id}"), "").await?;
        let report: Json = serde_json::from_str(&page).with_context(|| format!("no report: {page}"))?;
        match report.get("state").and_then(Json::as_str) {
            Some("running") if began.elapsed() < HANGS => {}
            Some("done") => return Ok(report),
            state => bail!("the task is {state:?}: {page}"),
        }
    }
}

/// Milliseconds from the task's first event to its last, by the server's clock.
pub(super) fn took_ms(report: &Json) -> Result<f64> {
    let at = |key: &str| report.get(key).and_then(Json::as_f64).with_context(|| format!("the report has no {key}"));
    Ok(at("ended_at")? - at("started_at")?)
}

/// Milliseconds that an agent takes for each of some messages, one after the other in one conversation.
pub(super) async fn ask(client: &mut HttpClient, agent: &str, conversation: &str, texts: &[String]) -> Result<Vec<f64>> {
    let mut took = Vec::with_capacity(texts.len());
    for text in texts {
        let began = Instant::now();
        let (status, page) = client.say_to(conversation, &format!("?bot={agent}"), text).await?;
        ensure!(status == 200, "HTTP status {status}: {page}");
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(took)
}
