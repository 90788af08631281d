//! template.yaml against the code: each function may do what it calls, and everything that lasts is kept.

#![expect(clippy::unwrap_used, clippy::string_slice, clippy::panic, reason = "what a test does not expect fails it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn template() -> String {
    fs::read_to_string(root().join("template.yaml")).unwrap()
}

/// The lines of one resource.
fn resource(name: &str) -> String {
    let template = template();
    let from = template.find(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("template.yaml has no {name}"));
    let lines = template[from + 1..].lines();
    let mut own: Vec<&str> = lines.clone().take(1).collect();
    own.extend(lines.skip(1).take_while(|line| line.is_empty() || line.starts_with("    ")));
    own.join("\n")
}

/// The actions that a policy allows of a service.
fn actions(policy: &str, service: &str) -> BTreeSet<String> {
    let text = resource(policy);
    let words = text.split(|c: char| c.is_whitespace() || ",[]".contains(c));
    words.filter_map(|word| word.strip_prefix(&format!("{service}:"))).map(str::to_owned).collect()
}

fn source(folder: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// It scans the table for who lists the whole ledger, and makes it for `cota`: neither is a function's business.
#[test]
fn the_store_may_do_exactly_what_it_calls() {
    let code = source("crates/cota-store-dynamodb/src");
    let calls = |method: &str| code.contains(&format!(".{method}()"));
    let mut needed = BTreeSet::new();
    for (method, action) in [
        ("get_item", "GetItem"),
        ("put_item", "PutItem"),
        ("update_item", "UpdateItem"),
        ("delete_item", "DeleteItem"),
        ("query", "Query"),
        ("batch_get_item", "BatchGetItem"),
        ("batch_write_item", "BatchWriteItem"),
    ] {
        if calls(method) {
            needed.insert(action.to_owned());
        }
    }
    // A transaction needs what its parts need.
    if calls("transact_write_items") {
        for (part, action) in [
            ("Put::builder", "PutItem"),
            ("Update::builder", "UpdateItem"),
            ("Delete::builder", "DeleteItem"),
            ("ConditionCheck::builder", "ConditionCheckItem"),
        ] {
            if code.contains(part) {
                needed.insert(action.to_owned());
            }
        }
    }
    assert_eq!(actions("UsesConversations", "dynamodb"), needed);
}

#[test]
fn the_functions_may_do_exactly_what_they_call() {
    let code = source("crates/cota-aws/src");
    assert!(code.contains("\"SendMessage\"") && actions("RingsDoorbell", "sqs") == BTreeSet::from(["SendMessage".to_owned()]));
    assert!(code.contains("\"GetParameter\"") && actions("ReadsSecrets", "ssm") == BTreeSet::from(["GetParameter".to_owned()]));
    assert!(
        code.contains("\"GetSecretValue\"") && actions("ReadsSecrets", "secretsmanager") == BTreeSet::from(["GetSecretValue".to_owned()])
    );
    assert!(
        code.contains("%40connections") && actions("PostsToConnections", "execute-api") == BTreeSet::from(["ManageConnections".to_owned()])
    );
    let places = source("crates/cota-publish/src");
    let reads_bots = BTreeSet::from(["GetObject", "ListBucket"].map(str::to_owned));
    assert!(places.contains("s3:GetObject") && places.contains("s3:ListBucket") && actions("ReadsBots", "s3") == reads_bots);
    assert!(places.contains("\"cota/bots/") && resource("ReadsBots").contains("/cota/bots/*\""));
    let drives = BTreeSet::from(["SendTaskSuccess", "StartExecution"].map(str::to_owned));
    assert!(code.contains("\"StartExecution\"") && code.contains("\"SendTaskSuccess\"") && actions("DrivesTasks", "states") == drives);
    for (function, hears) in [("Api", false), ("Socket", false), ("Task", false), ("Turn", true)] {
        let text = resource(function);
        assert_eq!(text.contains("HearsDoorbell"), hears, "{function}");
        assert!(!text.contains("\"*\""), "{function} may do everything");
    }
}

#[test]
fn every_setting_that_the_functions_read_is_set_by_the_template() {
    let (code, template) = (source("crates/cota-aws/src"), template());
    let settings: BTreeSet<&str> =
        code.split('"').filter(|text| text.starts_with("COTA_") && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect();
    // The first two are for builds and trials, and none is set by default.
    let left_out = ["COTA_BUNDLES", "COTA_ENV", "COTA_"];
    for setting in settings.iter().filter(|setting| !left_out.contains(*setting)) {
        assert!(template.contains(&format!("        {setting}: ")), "template.yaml does not set {setting}");
    }
}

#[test]
fn the_state_machine_hands_on_references_and_tries_every_state_again() {
    let text = fs::read_to_string(root().join("infra/task.asl.json")).unwrap();
    let machine: serde_json::Value = serde_json::from_str(&text).unwrap();
    let states = machine["States"].as_object().unwrap();
    let inner = states["Agents"]["ItemProcessor"]["States"].as_object().unwrap();
    let mut orders = BTreeSet::new();
    for (name, state) in states.iter().chain(inner).filter(|(_, state)| state["Type"] == "Task") {
        let payload = state["Parameters"]["Payload"].as_object().unwrap();
        orders.insert(payload["do"].as_str().unwrap());
        assert!(payload.keys().all(|key| ["do", "task.$", "step.$", "came.$", "token.$"].contains(&key.as_str())), "{name} hands on more");
        let errors = state["Retry"].to_string();
        for error in ["Cota.Held", "Cota.Store", "Runtime.ExitError", "Lambda.TooManyRequestsException"] {
            assert!(errors.contains(error), "{name} is not tried again after {error}");
        }
        assert!(state["Catch"].to_string().contains("States.ALL"), "{name} lets an execution fail without a word");
    }
    assert_eq!(orders, BTreeSet::from(["ask", "collect", "plan", "respond", "validate", "wait"]));
    assert!(resource("Tasks").contains("DefinitionUri: infra/task.asl.json") && resource("Tasks").contains("lambda:InvokeFunction"));
}

#[test]
fn what_lasts_is_kept_encrypted_and_can_be_put_back() {
    let table = resource("Table");
    for promise in [
        "DeletionPolicy: Retain",
        "UpdateReplacePolicy: Retain",
        "PointInTimeRecoveryEnabled: true",
        "SSEEnabled: true",
        "AttributeName: expires_at, Enabled: true",
    ] {
        assert!(table.contains(promise), "the table lacks {promise}");
    }
    for queue in ["Doorbell", "DeadDoorbells"] {
        assert!(resource(queue).contains("SqsManagedSseEnabled: true"), "{queue} is not encrypted");
    }
    let mapping = resource("DoorbellWakesTurn");
    for promise in ["BatchSize: 1", "ReportBatchItemFailures", "MaximumConcurrency"] {
        assert!(mapping.contains(promise), "the doorbell lacks {promise}");
    }
    assert!(resource("ApiUrlMayBeCalled").contains("lambda:InvokeFunctionUrl"));
    assert!(resource("ApiMayBeInvokedByUrl").contains("lambda:InvokeFunction\n"));
}
