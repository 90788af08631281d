//! `cota task run`, and tasks over HTTP.

use cota_testkit::client::task::{OVER, expected, lasting};
use serde_json::{Value as Json, json};

use crate::support::Home;

fn example(name: &str) -> String {
    format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a report says, but for times and ids.
fn steps(report: &Json) -> Vec<(String, String, u64)> {
    let text = |step: &Json, key: &str| step[key].as_str().unwrap_or_default().to_owned();
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| (text(step, "name"), text(step, "state") + " " + &text(step, "result"), step["tries"].as_u64().unwrap())).collect()
}

#[test]
fn the_trip_is_planned_written_and_sent_in_spite_of_a_failing_agent() {
    let home = Home::new();
    let called = home.cota(&["task", "run", &example("trip"), "--input", "Oslo", "--answer", "approve=yes", "--format", "json"]);
    let report = called.json();
    assert_eq!((called.code, report["state"].as_str()), (0, Some("partial")), "{called:?}");
    let letter = "Dear friends! See the harbour and the old town. Eat at the market hall. See you on Saturday.";
    let expected = [
        ("sights", "done See the harbour and the old town.".to_owned(), 1),
        ("food", "done Eat at the market hall.".to_owned(), 1),
        ("prices", "failed ".to_owned(), 2),
        ("letter", format!("done {letter}"), 1),
        ("approve", "done yes".to_owned(), 1),
        ("send", "done Sent.".to_owned(), 1),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(name, told, tries)| (name.to_owned(), told, tries)).collect();
    assert_eq!(steps(&report), expected);
    assert_eq!(report["result"], "Sent.");
}

#[test]
fn without_an_answer_a_task_waits_and_the_same_id_goes_on_later() {
    let home = Home::new();
    let trip = example("trip");
    let run = |answer: &[&str]| {
        let common = ["task", "run", trip.as_str(), "--input", "Oslo", "--task-id", "t1", "--format", "json"];
        home.cota(&common.iter().chain(answer).copied().collect::<Vec<_>>()).json()
    };
    let waiting = run(&[]);
    assert_eq!(waiting["state"], "waiting");
    let asking = &waiting["steps"][4];
    assert_eq!((asking["state"].as_str(), asking["name"].as_str()), (Some("asking"), Some("approve")));
    let done = run(&["--answer", "approve=no"]);
    assert_eq!((done["state"].as_str(), done["steps"][5]["state"].as_str()), (Some("partial"), Some("skipped")));
    assert_eq!(done["steps"][0]["started_at"], waiting["steps"][0]["started_at"], "what was done is not done again");
    assert_eq!(run(&[]), done, "it is over, and stays so");
}

#[test]
fn the_agents_of_a_consultation_take_turns_until_the_doctor_ends_it() {
    let home = Home::new();
    let called = home.cota(&["task", "run", &example("consult"), "--format", "json"]);
    let report = called.json();
    assert_eq!(report["state"], "done", "{called:?}");
    let said: Vec<String> =
        report["steps"].as_array().unwrap().iter().map(|step| format!("{}: {}", step["agent"], step["result"])).collect();
    assert_eq!(
        said,
        [
            r#""doctor": "Good morning! What is wrong with your cat?""#,
            r#""owner": "It limps since yesterday.""#,
            r#""doctor": "Which leg is it?""#,
            r#""owner": "It is the left paw.""#,
            r#""doctor": "That is a sprain. Keep her in for three days, and take care!""#,
        ]
    );
}

#[test]
fn a_process_that_dies_after_any_write_does_not_do_a_step_twice() {
    let trip = example("trip");
    let arguments = ["task", "run", trip.as_str(), "--input", "Oslo", "--task-id", "t1", "--answer", "approve=yes", "--format", "json"];
    let whole = steps(&Home::new().cota(&arguments).json());
    let mut deaths = 0;
    for write in 1..=8 {
        let home = Home::new();
        let died = home.command(&arguments).env("COTA_FAILPOINT", format!("after-task-commit:{write}")).output().unwrap();
        deaths += u32::from(died.status.code().is_none());
        let called = home.cota(&arguments);
        assert_eq!(steps(&called.json()), whole, "after write {write}");
    }
    assert!(deaths >= 6, "{deaths} processes died");
}

#[test]
fn a_task_folder_is_checked_like_a_bot() {
    let home = Home::new();
    home.write("t/agents/ana/agent.yml", "system: {name: ana}\n");
    home.write("t/endpoints.yml", "llms: {offline: {type: examples}}\n");
    home.write(
        "t/task.yml",
        "plans:\n  - {name: a, agent: anna, startquery: x, dependencies: [b]}\n  - {name: b, agent: ana, startquery: '{{results.a}}', dependencies: [a]}\n",
    );
    let called = home.cota(&["check", "t"]);
    assert_eq!(called.code, 1);
    for words in [
        "t/task.yml:2:22: error: step `a`: there is no agent `anna`; there is `ana`, `human`",
        "did you mean `ana`?",
        "steps wait for each other: a → b → a",
    ] {
        assert!(called.stdout.contains(words), "{words}: {}", called.stdout);
    }
    let called = home.cota(&["check", &example("trip"), &example("consult")]);
    assert_eq!(called.code, 0, "{}", called.stdout);
}

#[test]
fn a_served_task_is_started_watched_answered_and_stopped_over_http() {
    let home = Home::new();
    let server = home.serve(&[&example("trip"), &example("consult")]);
    let start = json!({"task": "trip", "input": "Oslo", "task_id": "t1"});
    let (status, started) = server.post("/v1/tasks", &start);
    assert_eq!((status, started["task_id"].as_str()), (202, Some("t1")), "{started}");
    let waiting = server.until("/v1/tasks/t1", |report| report["state"] == "waiting");
    assert_eq!(waiting["steps"][4]["state"], "asking");
    assert_eq!(server.post("/v1/tasks/t1/steps/food", &json!({"text": "fish"})).0, 400);
    assert_eq!(server.post("/v1/tasks/t1/steps/approve", &json!({"text": "yes"})).0, 202);
    let done = server.until("/v1/tasks/t1", |report| report["state"] == "partial");
    assert_eq!(lasting(&done), expected("trip"));
    assert_eq!(server.post("/v1/tasks/t1/steps/approve", &json!({"text": "no"})).0, 409, "the first answer counts");
    assert_eq!(server.post("/v1/tasks", &json!({"task": "trip", "input": "Rome", "task_id": "t1"})).0, 409);
    server.post("/v1/tasks", &json!({"task": "consult", "task_id": "c1"}));
    let is_over = |report: &Json| report["state"].as_str().is_some_and(|state| OVER.contains(&state));
    assert_eq!(lasting(&server.until("/v1/tasks/c1", is_over)), expected("consult"));
    server.post("/v1/tasks", &json!({"task": "trip", "input": "Rome", "task_id": "t2"}));
    server.until("/v1/tasks/t2", |report| report["state"] == "waiting");
    assert_eq!(server.post("/v1/tasks/t2/cancel", &json!({})).0, 202);
    let stopped = server.until("/v1/tasks/t2", |report| report["state"] == "cancelled");
    assert_eq!(stopped["steps"][4]["state"], "cancelled");
    assert_eq!(server.post("/v1/tasks/none/cancel", &json!({})).0, 404);
}
