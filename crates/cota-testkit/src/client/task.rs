//! Tasks over HTTP, and their reports without what differs from one run to the next: the example tasks end the same wherever
//! they run.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Record, http};

/// Only catches a hang.
const LIMIT: Duration = Duration::from_secs(60);
/// What tells when something happened, or of which task it is told.
const PASSING: [&str; 3] = ["task_id", "started_at", "ended_at"];

/// A task on a running server.
#[derive(Clone, Debug)]
pub struct Task {
    /// `host:port`.
    pub address: String,
    /// Its id.
    pub id: String,
}

impl Task {
    /// Starts one.
    pub async fn start(address: &str, task: &str, input: &str, id: &str) -> Self {
        let body = json!({"task": task, "input": input, "task_id": id}).to_string();
        let started = http::post(address, "/v1/tasks", &[], body.as_bytes()).await.unwrap();
        assert_eq!(started.status, 202, "{started:?}");
        Self { address: address.to_owned(), id: id.to_owned() }
    }

    /// Its report, once that is in one of these states.
    pub async fn until(&self, states: &[&str]) -> Json {
        let began = Instant::now();
        loop {
            let report = http::get(&self.address, &format!("/v1/tasks/{}", self.id)).await.unwrap();
            let json = report.json();
            if json["state"].as_str().is_some_and(|state| states.contains(&state)) {
                return json;
            }
            assert!(began.elapsed() < LIMIT, "task {} is not {states:?} after {LIMIT:?}: {report:?}", self.id);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Answers a step that asks a person; the status.
    pub async fn answer(&self, step: &str, text: &str) -> u16 {
        self.post(&format!("steps/{step}"), &json!({"text": text})).await
    }

    /// Stops it; the status.
    pub async fn cancel(&self) -> u16 {
        self.post("cancel", &json!({})).await
    }

    /// How the turns of an agent ended, once one has.
    pub async fn outcomes(&self, agent: &str) -> Vec<String> {
        let began = Instant::now();
        loop {
            let record = Record::read_of(&self.address, agent, &self.id).await;
            if !record.outcomes().is_empty() {
                return record.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
            }
            assert!(began.elapsed() < LIMIT, "no turn of {agent} in {} ends: {record:?}", self.id);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn post(&self, path: &str, body: &Json) -> u16 {
        let path = format!("/v1/tasks/{}/{path}", self.id);
        http::post(&self.address, &path, &[], body.to_string().as_bytes()).await.unwrap().status
    }
}

/// Where a task is that is over.
pub const OVER: [&str; 4] = ["done", "partial", "failed", "cancelled"];

/// A report without what differs from one run to the next.
pub fn lasting(report: &Json) -> Json {
    let mut report = report.clone();
    forget_passing(&mut report);
    report
}

/// How an example task ends, wherever it runs: `trip` to Oslo with `yes` to its question, `consult` with no input.
pub fn expected(task: &str) -> Json {
    let report = match task {
        "trip" => include_str!("reports/trip.json"),
        "consult" => include_str!("reports/consult.json"),
        other => panic!("nobody wrote down how {other} ends"),
    };
    serde_json::from_str(report).unwrap()
}

fn forget_passing(json: &mut Json) {
    match json {
        Json::Object(members) => {
            PASSING.iter().for_each(|name| drop(members.remove(*name)));
            members.values_mut().for_each(forget_passing);
        }
        Json::Array(values) => values.iter_mut().for_each(forget_passing),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
