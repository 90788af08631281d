//! The Runtime API, and the life of a process between two invocations.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cota_testkit::lambda::{Failed, Function, Settings};
use serde_json::{Value as Json, json};

use super::{function, settings, until};

async fn told(function: &Function) -> Json {
    serde_json::from_slice(&function.invoke(&json!({"do": "tell"})).await.unwrap()).unwrap()
}

#[tokio::test]
async fn an_invocation_has_the_documented_headers_and_variables() {
    let function = function();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let told = told(&function).await;
    assert_eq!(told["event"], json!({"do": "tell"}));
    let header = |name: &str| told["headers"][format!("lambda-runtime-{name}")].as_str().unwrap_or_else(|| panic!("no {name}: {told}"));
    let id = header("aws-request-id");
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
    let deadline: u128 = header("deadline-ms").parse().unwrap();
    assert!((before + 59_000..before + 120_000).contains(&deadline), "{deadline} is not a minute after {before}");
    assert!(header("invoked-function-arn").starts_with("arn:aws:lambda:") && header("invoked-function-arn").ends_with(":function:tried"));
    assert!(header("trace-id").starts_with("Root=1-"));
    for (name, value) in [("FUNCTION_NAME", "tried"), ("FUNCTION_VERSION", "$LATEST"), ("FUNCTION_MEMORY_SIZE", "256")] {
        assert_eq!(told["variables"][format!("AWS_LAMBDA_{name}")], value);
    }
    until(|| function.logged().contains("accepted with 202").then_some(())).await;
}

#[tokio::test]
async fn a_process_has_one_invocation_at_a_time_and_is_used_again() {
    let function = function();
    let (first, second) = (told(&function).await, told(&function).await);
    assert_eq!(first["process"], second["process"]);
    assert_ne!(first["headers"]["lambda-runtime-aws-request-id"], second["headers"]["lambda-runtime-aws-request-id"]);
    let hesitate = json!({"do": "hesitate"});
    let (one, other) = tokio::join!(function.invoke(&hesitate), function.invoke(&hesitate));
    let process = |answer: Result<Vec<u8>, Failed>| serde_json::from_slice::<Json>(&answer.unwrap()).unwrap()["process"].clone();
    assert_ne!(process(one), process(other));
    assert_eq!((function.started(), function.deaths()), (2, 0));
}

#[tokio::test]
async fn there_are_no_more_at_once_than_there_may_be() {
    let function = Function::new(Settings { concurrency: 1, ..settings() });
    let hesitate = json!({"do": "hesitate"});
    let (one, other) = tokio::join!(function.invoke(&hesitate), function.invoke(&hesitate));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(function.started(), 1);
}

#[tokio::test]
async fn a_process_that_is_forgotten_while_it_answers_is_not_used_again() {
    let function = function();
    let mut answer = function.stream(&json!({"do": "hesitate"}));
    until(|| (function.started() == 1).then_some(())).await;
    function.forget();
    let first: Json = serde_json::from_slice(&answer.recv().await.unwrap().unwrap()).unwrap();
    assert_ne!(told(&function).await["process"], first["process"]);
    assert_eq!((function.started(), function.deaths()), (2, 0));
}

#[tokio::test]
async fn nothing_runs_on_after_the_answer() {
    let function = function();
    let before = told(&function).await["ticks"].as_u64().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = told(&function).await["ticks"].as_u64().unwrap();
    assert!(after - before < 50, "it ticked {} times of a hundred while it was frozen", after - before);
}

#[tokio::test]
async fn an_error_of_the_function_is_told_and_the_process_lives_on() {
    let function = function();
    let process = told(&function).await["process"].clone();
    let failed = function.invoke(&json!({"do": "fail"})).await.unwrap_err();
    assert_eq!(failed, Failed::Said { kind: "Test.Fault".to_owned(), message: "as it was told".to_owned() });
    assert_eq!(told(&function).await["process"], process);
}

#[tokio::test]
async fn a_process_that_ends_or_takes_too_long_is_replaced() {
    let function = Function::new(Settings { timeout: Duration::from_secs(2), ..settings() });
    let process = told(&function).await["process"].clone();
    assert_eq!(function.invoke(&json!({"do": "die"})).await.unwrap_err(), Failed::Died);
    let second = told(&function).await["process"].clone();
    assert_ne!(second, process);
    assert_eq!(function.invoke(&json!({"do": "hang"})).await.unwrap_err(), Failed::TimedOut);
    assert_ne!(told(&function).await["process"], second);
    assert_eq!((function.started(), function.deaths()), (3, 2));
}

#[tokio::test]
async fn kill_9_reaches_a_process_that_answers_and_one_that_waits() {
    let function = function();
    let process = told(&function).await["process"].clone();
    function.kill();
    assert_ne!(told(&function).await["process"], process, "one that waited is gone");
    let hang = json!({"do": "hang"});
    let (hang, ()) = tokio::join!(function.invoke(&hang), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        function.kill();
    });
    assert_eq!(hang.unwrap_err(), Failed::Died);
}
