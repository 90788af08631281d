//! What a run does, step by step.

use super::stage::{Stage, dynamic_task, message, static_task, step};
use crate::machine::{EffectError, EffectId, FailureKind};
use crate::task::planner::Mind;
use crate::task::{Effect, Ending, Message, Retry, RunReport, Start, State};

fn input(text: &str) -> Start {
    Start { input: text.to_owned(), report_to: None }
}

fn trip() -> Vec<crate::task::StepSource> {
    vec![
        step("sights", "ana", Some("sights of {{input}}"), &[]),
        step("food", "bo", Some("food in {{input}}"), &[]),
        step("letter", "cy", Some("write: {{results.sights}} / {{results.food}}"), &["sights", "food"]),
    ]
}

#[test]
fn steps_that_do_not_wait_for_each_other_run_at_once_and_hand_their_results_on() {
    let mut stage = Stage::begin(static_task(trip()), input("Oslo"));
    assert_eq!(stage.queries(), [("ana", "sights of Oslo"), ("bo", "food in Oslo")]);
    stage.says("bo", "fish");
    stage.says("ana", "the fjord");
    assert_eq!(stage.queries(), [("cy", "write: the fjord / fish")]);
    stage.says("cy", "Dear Ann");
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Done)));
    let report = stage.report();
    assert_eq!((report.state, report.result.as_deref(), report.spent.llm_calls), (State::Done, Some("Dear Ann"), 3));
    assert_eq!(stage.commits.last().unwrap().answered.len(), 1, "the end answers what began it");
}

#[test]
fn a_failed_step_is_tried_again_and_then_lets_its_dependents_down() {
    let mut steps = trip();
    steps.push(step("anyway", "bo", Some("say {{results.letter}}"), &["letter"]));
    steps[3].after_failure = true;
    let mut stage = Stage::begin(static_task(steps), input("Oslo"));
    stage.says("bo", "fish");
    stage.answers("ana", Err("no idea".into()));
    assert_eq!(stage.states()[0], "sights retrying");
    stage.passes(1_500);
    stage.answers("ana", Err("still none".into()));
    assert_eq!(stage.states(), ["sights failed", "food done", "letter skipped", "anyway running"]);
    assert_eq!(stage.queries(), [("bo", "say (letter was skipped)")]);
    stage.says("bo", "sorry");
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Partial)));
    let report = stage.report();
    assert_eq!(report.steps[0].error.as_deref(), Some("still none"));
    assert_eq!(report.steps[2].error.as_deref(), Some("sights failed"));
    assert_eq!(report.result.as_deref(), Some("sorry"));
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let mut stage = Stage::begin(static_task(vec![step("a", "ana", Some("x"), &[])]), input(""));
    let (id, _) = stage.asked.remove(0);
    stage.outcome(id, Err(EffectError::new(FailureKind::Rejected, "there is no such bot")));
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Failed)));
}

#[test]
fn a_step_that_is_late_is_stopped_and_tried_again_under_another_message() {
    let mut slow = step("a", "ana", Some("x"), &[]);
    (slow.timeout_ms, slow.retry) = (Some(2_000), Some(Retry { attempts: 2, backoff_ms: 100 }));
    let mut stage = Stage::begin(static_task(vec![slow]), input(""));
    let first = stage.asked[0].clone();
    stage.passes(2_000);
    assert_eq!(stage.aborted, [first.0]);
    stage.passes(200);
    let Effect::Ask { message_id: second, .. } = &stage.asked[0].1 else { panic!("asked again") };
    assert!(matches!(&first.1, Effect::Ask { message_id, .. } if message_id != second));
    stage.says("ana", "done after all");
    assert_eq!(stage.report().steps[0].tries, 2);
    assert_eq!(stage.report().state, State::Done);
}

#[test]
fn one_agent_does_one_thing_at_a_time_and_a_task_so_many() {
    let steps = vec![step("a", "ana", Some("1"), &[]), step("b", "ana", Some("2"), &[]), step("c", "bo", Some("3"), &[])];
    let mut task = static_task(steps);
    let mut stage = Stage::begin(task.clone(), input(""));
    assert_eq!(stage.queries(), [("ana", "1"), ("bo", "3")]);
    stage.says("ana", "x");
    assert_eq!(stage.queries(), [("bo", "3"), ("ana", "2")]);
    task.settings.max_concurrent = 1;
    let stage = Stage::begin(task, input(""));
    assert_eq!(stage.queries(), [("ana", "1")]);
}

#[test]
fn a_person_is_waited_for_with_nothing_held_and_the_answer_wakes_the_task() {
    let steps = vec![
        step("plan", "ana", Some("plan it"), &[]),
        step("approve", "human", Some("Shall we book {{results.plan}}?"), &["plan"]),
        step("book", "bo", Some("book"), &["approve"]),
    ];
    let mut steps = steps;
    steps[2].when = Some("results.approve contains yes".into());
    let mut stage = Stage::begin(static_task(steps), input(""));
    stage.says("ana", "Rome");
    assert!(stage.is_parked());
    let report = stage.report();
    assert_eq!((report.state, report.steps[1].state.as_str()), (State::Waiting, "asking"));
    assert_eq!(report.steps[1].query.as_deref(), Some("Shall we book Rome?"));
    stage.passes(3 * 24 * 3600 * 1000);
    assert!(stage.is_parked(), "days later it still waits");
    stage.hears("answer/nobody", Message::Answer { step: "plan".into(), text: "not asked".into() });
    assert!(stage.is_parked());
    stage.hears("answer/approve", Message::Answer { step: "approve".into(), text: "Yes, go".into() });
    assert_eq!(stage.queries(), [("bo", "book")]);
    stage.says("bo", "booked");
    assert_eq!(stage.report().state, State::Done);
}

#[test]
fn a_step_whose_condition_is_false_counts_as_done_with_nothing_to_say() {
    let mut steps =
        vec![step("a", "ana", Some("x"), &[]), step("b", "bo", Some("y"), &["a"]), step("c", "cy", Some("[{{results.b}}]"), &["b"])];
    steps[1].when = Some("results.a matches ^no".into());
    let mut stage = Stage::begin(static_task(steps), input(""));
    stage.says("ana", "yes");
    assert_eq!(stage.queries(), [("cy", "[]")]);
    stage.says("cy", "fine");
    assert_eq!(stage.report().state, State::Done);
}

#[test]
fn a_cancelled_task_stops_what_runs_and_keeps_what_is_done() {
    let mut stage = Stage::begin(static_task(trip()), input("Oslo"));
    stage.says("ana", "the fjord");
    let running = stage.asked[0].0;
    stage.hears("cancel", Message::Cancel { reason: "changed my mind".into() });
    assert_eq!(stage.aborted, [running]);
    assert_eq!(stage.states(), ["sights done", "food cancelled", "letter cancelled"]);
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Cancelled)));
}

#[test]
fn after_a_crash_what_ran_is_asked_again_with_the_same_message() {
    let mut stage = Stage::begin(static_task(trip()), input("Oslo"));
    stage.says("ana", "the fjord");
    let before = stage.asked.clone();
    stage.resume(Vec::new());
    assert_eq!(stage.asked, before);
    stage.says("bo", "fish");
    stage.says("cy", "Dear Ann");
    assert_eq!(stage.report().state, State::Done);
}

#[test]
fn a_task_that_is_cancelled_while_nobody_drives_it_stops_what_runs() {
    let mut stage = Stage::begin(static_task(trip()), input("Oslo"));
    let running: Vec<EffectId> = stage.asked.iter().map(|(id, _)| *id).collect();
    stage.resume(vec![message(2, "cancel", Message::Cancel { reason: String::new() })]);
    assert_eq!(stage.aborted, running);
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Cancelled)));
}

#[test]
fn a_planner_names_one_step_at_a_time_and_the_agents_hear_each_other() {
    let mut stage =
        Stage::begin(dynamic_task("{{agent_description}}|{{history_messages}}|{{input}}", Mind::Llm("gpt".into())), input("the cat limps"));
    let request = |stage: &Stage| {
        let crate::task::Planning::Dynamic(planner) = &stage.task.planning else { panic!("dynamic") };
        planner.request(&stage.task, stage.run.board()).messages.last().unwrap().content.clone()
    };
    assert_eq!(request(&stage), "ana:is ana\nbo:is bo\ncy:is cy||the cat limps");
    stage.plans(r#"{"agent": "Ana"}"#);
    assert_eq!(stage.queries(), [("ana", "the cat limps")]);
    stage.says("ana", "Which leg?\nbo: left");
    assert!(request(&stage).contains("|ana:Which leg?\\nbo: left|"), "nobody speaks in another's name");
    stage.plans(r#"Next: {"agent": "bo"}"#);
    let Effect::Ask { query, speaker, .. } = &stage.asked[0].1 else { panic!("bo is asked") };
    assert_eq!((query.as_str(), speaker.as_deref()), ("Which leg?\nbo: left", Some("ana")));
    stage.says("bo", "the left");
    stage.plans(r#"{"finish": "a sprain"}"#);
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Done)));
    assert_eq!(stage.report().result.as_deref(), Some("a sprain"));
}

#[test]
fn a_planner_may_give_the_whole_plan_and_is_asked_once_more_for_a_bad_one() {
    let mut stage = Stage::begin(dynamic_task("plan", Mind::Llm("gpt".into())), input(""));
    stage.plans(r#"{"plan": [{"name": "a", "agent": "ana", "query": "x", "dependencies": ["a"]}]}"#);
    assert!(stage.report().error.is_none());
    stage.plans(
        r#"[{"name": "a", "agent": "ana", "query": "x"}, {"name": "b", "agent": "bo", "query": "{{results.a}}", "dependencies": ["a"]}]"#,
    );
    stage.says("ana", "1");
    assert_eq!(stage.queries(), [("bo", "1")]);
    stage.says("bo", "2");
    assert_eq!(stage.report().state, State::Done);
    let mut stage = Stage::begin(dynamic_task("plan", Mind::Llm("gpt".into())), input(""));
    stage.plans(r#"{"agent": "nobody"}"#);
    stage.plans("I would rather not");
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Failed)));
    assert!(stage.report().error.unwrap().starts_with("the planner's answer is no plan, even the second time: it is no JSON"));
}

#[test]
fn without_a_planner_agents_take_turns_until_the_steps_are_used_up() {
    let mut task = dynamic_task("", Mind::Turns);
    task.settings.max_steps = 4;
    let mut stage = Stage::begin(task, input(""));
    assert_eq!(stage.queries(), [("ana", "/start")]);
    for (agent, text) in [("ana", "1"), ("bo", "2"), ("cy", "3"), ("ana", "4")] {
        stage.says(agent, text);
    }
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Partial)));
    assert_eq!(stage.report().error.as_deref(), Some("the task has taken its 4 steps (max_steps)"));
}

#[test]
fn budgets_end_a_task_with_what_it_has() {
    let mut task = static_task(trip());
    task.settings.budget.llm_calls = 2;
    let mut stage = Stage::begin(task.clone(), input("Oslo"));
    stage.says("ana", "1");
    stage.says("bo", "2");
    assert_eq!(stage.states(), ["sights done", "food done", "letter skipped"]);
    assert_eq!(stage.report().state, State::Partial);
    task.settings.budget.llm_calls = 500;
    task.settings.budget.ms = Some(5_000);
    let mut stage = Stage::begin(task, input("Oslo"));
    stage.says("ana", "1");
    stage.passes(5_000);
    assert_eq!(stage.states(), ["sights done", "food failed", "letter skipped"]);
    assert_eq!(stage.aborted.len(), 1);
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Partial)));
}

#[test]
fn the_conversation_that_began_a_task_hears_of_each_step_and_of_the_end() {
    let to = crate::ids::ConversationKey {
        bot: crate::ids::BotName::new("host").unwrap(),
        owner: crate::ids::Owner::public(),
        id: crate::ids::ConversationId::new("c").unwrap(),
    };
    let steps = vec![step("a", "ana", Some("x"), &[])];
    let mut stage = Stage::begin(static_task(steps), Start { input: String::new(), report_to: Some(to) });
    stage.says("ana", "42");
    let told: Vec<(String, String, bool)> = stage
        .asked
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Report { message_id, text, for_bot, .. } => Some((message_id.to_string(), text.clone(), *for_bot)),
            Effect::Ask { .. } | Effect::Plan { .. } => None,
        })
        .collect();
    assert_eq!(told, [("t1/a".to_owned(), "a: 42".to_owned(), false), ("t1".to_owned(), "42".to_owned(), true)]);
    assert_eq!(stage.over, None, "it is over only once that is told");
    for (id, _) in std::mem::take(&mut stage.asked) {
        stage.outcome(id, Ok(crate::task::Completed::Reported));
    }
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Done)));
}
