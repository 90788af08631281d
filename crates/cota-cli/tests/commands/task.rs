//! `cota task run`, and tasks over HTTP.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cota_testkit::client::task::{OVER, expected, lasting};
use serde_json::{Value as Json, json};

use crate::support::{Home, Server, is_alive, try_post, until};

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

/// The bot's messages and the task's in a conversation, in order, each with who sent it.
fn said(server: &Server, conversation: &str) -> Vec<String> {
    let events = server.until(&format!("/v1/conversations/{conversation}/events?limit=1000"), |page| page["events"].is_array());
    let spoken = |event: &Json| matches!(event["data"]["name"].as_str(), Some("UserUtter" | "BotUtter"));
    let text = |event: &Json| {
        format!("{}: {}", event["data"]["sender_id"].as_str().unwrap(), event["data"]["result"][0]["text"].as_str().unwrap())
    };
    events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "action" && spoken(event)).map(text).collect()
}

#[test]
fn a_conversation_starts_a_task_answers_it_and_hears_what_comes_of_it() {
    let home = Home::new();
    let server = home.serve(&[&example("trip"), &example("trip/desk")]);
    let started = server.say("c", "plan a trip to Oslo").1;
    assert_eq!(started["replies"][0]["text"], "A weekend in Oslo: the others plan it now. I will come back to you.", "{started}");
    let hears = |words: &str| until(words, || said(&server, "c").iter().any(|line| line.contains(words)));
    hears("Shall it be sent, yes or no?");
    let approved = server.reply("c", "yes please");
    assert_eq!(approved, "I have told them: yes.");
    hears("It is done");
    let said = said(&server, "c");
    for line in [
        "<task>: sights: See the harbour and the old town.",
        "<task>: food: Eat at the market hall.",
        "<task>: send: Sent.",
        "<task>: Sent.",
        "desk: Your letter is written. Shall it be sent, yes or no?",
    ] {
        assert_eq!(said.iter().filter(|said| *said == line).count(), 1, "{line} in {said:#?}");
    }
    assert!(said.iter().any(|line| line.starts_with("<task>: prices failed: ")), "{said:#?}");
    let answered: Vec<&String> = said.iter().filter(|line| line.starts_with("desk: ")).collect();
    assert_eq!(answered.len(), 4, "it says nothing to mere progress: {said:#?}");
    let report = server.until(&format!("/v1/tasks/{}", task_of(&server, "c")), |report| report["state"] == "partial");
    assert_eq!((report["input"].as_str(), report["result"].as_str()), (Some("Oslo"), Some("Sent.")));
    assert!(server.reply("d", "yes please").starts_with("I am sorry"));
    let refused = server.until("/v1/conversations/d/events?limit=1000", |page| page["events"].is_array());
    assert!(refused.to_string().contains("this conversation has started no task `trip`"), "{refused}");
}

/// The task that a conversation has started.
fn task_of(server: &Server, conversation: &str) -> String {
    let events = server.until(&format!("/v1/conversations/{conversation}/events?limit=1000"), |page| page["events"].is_array());
    let ids: BTreeSet<String> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| Some(event["data"]["result"][0]["metadata"]["task_id"].as_str()?.to_owned()))
        .collect();
    assert_eq!(ids.len(), 1, "one task and no other: {events}");
    ids.into_iter().next().unwrap()
}

#[test]
fn a_turn_that_dies_as_it_starts_a_task_goes_on_and_starts_no_second_one() {
    let home = Home::new();
    let folders = [example("trip"), example("trip/desk")];
    let arguments = [folders[0].as_str(), folders[1].as_str()];
    let dying = home.serve_with(&arguments, &[("COTA_FAILPOINT", "after-task-action".to_owned())]);
    let message = json!({"text": "plan a trip to Oslo", "message_id": "m1"});
    assert_eq!(try_post(&dying.address, "/v1/conversations/c/messages", &message), None, "it died in the middle of the turn");
    drop(dying);
    let server = home.serve(&arguments);
    until("the turn to go on", || said(&server, "c").iter().any(|line| line.contains("the others plan it now")));
    until("the task to ask", || said(&server, "c").iter().any(|line| line.contains("Shall it be sent")));
    let report = server.until(&format!("/v1/tasks/{}", task_of(&server, "c")), |report| report["state"] == "waiting");
    assert_eq!(report["steps"][0]["tries"], 1);
}

#[test]
fn a_served_task_whose_server_is_killed_goes_on_and_does_nothing_twice() {
    let home = Home::new();
    let trip = example("trip");
    let dying = home.serve_with(&[&trip], &[("COTA_FAILPOINT", "after-task-commit:4".to_owned())]);
    let start = json!({"task": "trip", "input": "Oslo", "task_id": "t1"});
    assert_eq!(dying.post("/v1/tasks", &start).0, 202);
    until("the server to die", || TcpStream::connect(&dying.address).is_err());
    drop(dying);
    let died = Instant::now();
    let server = home.serve(&[&trip]);
    let waiting = server.until("/v1/tasks/t1", |report| report["state"] == "waiting");
    assert!(died.elapsed() < Duration::from_secs(30), "it was taken up after {:?}", died.elapsed());
    let tries: Vec<u64> = waiting["steps"].as_array().unwrap().iter().map(|step| step["tries"].as_u64().unwrap()).collect();
    assert_eq!(tries, [1, 1, 2, 1, 1, 0]);
    for agent in ["sights", "food", "writer"] {
        let events = server.until(&format!("/v1/conversations/t1/events?bot=trip/{agent}"), |page| page["events"].is_array());
        let heard = events["events"].as_array().unwrap().iter().filter(|event| event["data"]["name"] == "UserUtter").count();
        assert_eq!(heard, 1, "{agent} was asked once: {events}");
    }
}

#[test]
fn stopping_a_task_stops_what_its_agent_is_at() {
    let home = Home::new();
    home.write("slow/task.yml", "plans:\n  - {name: wait, agent: ana, startquery: wait}\n");
    home.write("slow/endpoints.yml", "llms: {offline: {type: examples}}\n");
    home.write(
        "slow/agents/ana/agent.yml",
        "policies: [{type: trigger}]\nactions:\n  Wait: {executer: {type: script, script_path: wait.sh, timeout: 100, safety: read_only}}\n",
    );
    home.write(
        "slow/agents/ana/policy/a.yml",
        "triggers: [{actions: [{name: UserUtter, result: wait}, {name: Wait}]}]\npolicies: [{actions: [{name: UserUtter, result: hello}, {name: Selector, thought: greet, result: BotUtter}, {name: BotUtter, result: hello}]}]\n",
    );
    home.write_script("slow/agents/ana/wait.sh", "echo $$ > pid.tmp; mv pid.tmp pid; sleep 600");
    let server = home.serve(&["slow"]);
    server.post("/v1/tasks", &json!({"task_id": "t1"}));
    let pid = home.path().join("slow/agents/ana/pid");
    until("the script to run", || pid.exists());
    let script = home.read("slow/agents/ana/pid");
    assert!(is_alive(script.trim()));
    server.post("/v1/tasks/t1/cancel", &json!({}));
    server.until("/v1/tasks/t1", |report| report["state"] == "cancelled");
    until("the script to end", || !is_alive(script.trim()));
    let ended = server.until("/v1/conversations/t1/events?bot=slow/ana", |page| page.to_string().contains("turn_end"));
    let outcome = ended["events"].as_array().unwrap().iter().find(|event| event["kind"] == "turn_end").unwrap();
    assert_eq!(outcome["data"]["outcome"], "cancelled", "{ended}");
}
