//! What surrounds the functions in tests behaves as AWS's documents say: the Runtime API and the life of a process, a Function URL, a
//! WebSocket API, a queue's poller. cargo-lambda is a second opinion where it has one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod function_url;
mod queue;
mod runtime;
mod websocket_api;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use cota_testkit::lambda::{Function, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;

/// The function of these tests, as a program.
fn settings() -> Settings {
    static PROGRAM: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("function");
        fs::write(&program, format!("#!/bin/sh\nexec python3 {}\n", script().display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    });
    Settings::new("tried", PROGRAM.path().join("function"))
}

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lambda/function.py")
}

fn function() -> Function {
    Function::new(settings())
}

/// The events that the function wrote down.
fn events(function: &Function) -> Vec<Json> {
    events_in(&function.logged())
}

fn events_in(log: &str) -> Vec<Json> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for something that is sure to come.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look() {
                Some(found) => break found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("it never comes")
}

/// The names of a JSON object's members, and of those within.
fn names(json: &Json) -> Vec<String> {
    let Json::Object(members) = json else { return Vec::new() };
    let within = |(name, member): (&String, &Json)| {
        let deeper: Vec<String> = if name == "headers" || name == "multiValueHeaders" { Vec::new() } else { names(member) };
        std::iter::once(name.clone()).chain(deeper.into_iter().map(move |deeper| format!("{name}.{deeper}"))).collect::<Vec<_>>()
    };
    members.iter().flat_map(within).collect()
}

/// A sample of AWS's documents.
fn sample(name: &str) -> Json {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cota-aws/tests/functions/events").join(name);
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}
