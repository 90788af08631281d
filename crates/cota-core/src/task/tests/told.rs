//! A run whose agents tell it of their answers by messages: it is parked while they work.

use super::stage::{Stage, static_task, step};
use crate::ids::MessageId;
use crate::limits;
use crate::machine::EffectId;
use crate::task::{Completed, Effect, Ending, Message, Retry, RunReport, Spent, Start, StepSource};

fn begun(steps: Vec<StepSource>) -> Stage {
    let mut stage = Stage::begin(static_task(steps), Start { input: "Oslo".to_owned(), report_to: None });
    stage.all_are_asked();
    stage
}

fn research() -> Vec<StepSource> {
    vec![
        step("sights", "ana", Some("sights"), &[]),
        step("food", "bo", Some("food"), &[]),
        step("letter", "cy", Some("write: {{results.sights}} / {{results.food}}"), &["sights", "food"]),
    ]
}

impl Stage {
    /// Every agent that is asked takes the message.
    fn all_are_asked(&mut self) -> Vec<(EffectId, MessageId)> {
        let mut asked = Vec::new();
        for (id, effect) in std::mem::take(&mut self.asked) {
            let Effect::Ask { message_id, .. } = effect else { panic!("an agent is asked") };
            self.outcome(id, Ok(Completed::Asked));
            asked.push((id, message_id));
        }
        asked
    }

    /// The agent of a step tells of its answer.
    fn tells(&mut self, step: &str, said: Result<&str, &str>) {
        let board = self.run.board();
        let asked = board.message_of(board.step(step).unwrap()).unwrap();
        self.tells_of(&asked, said);
    }

    fn tells_of(&mut self, asked: &MessageId, said: Result<&str, &str>) {
        let said = said.map(str::to_owned).map_err(str::to_owned);
        self.hears(asked.as_str(), Message::Outcome { said, spent: Spent { llm_calls: 1, tokens: 10 } });
    }
}

#[test]
fn nothing_is_held_while_agents_work_and_each_answer_is_taken_as_it_comes() {
    let mut stage = begun(research());
    assert!(stage.is_parked());
    assert_eq!(stage.wakes, Some(stage.now.plus_ms(limits::TASK_LOOK_MS)));
    stage.tells("food", Ok("fish"));
    assert!(stage.is_parked() && stage.asked.is_empty(), "who is at work is not asked again: {:?}", stage.asked);
    stage.tells("sights", Ok("the fjord"));
    assert_eq!(stage.queries(), [("cy", "write: the fjord / fish")]);
    // It answers before the run is parked.
    stage.tells("letter", Ok("Dear Ann"));
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Done)));
    assert_eq!((stage.report().result.as_deref(), stage.report().spent.llm_calls), (Some("Dear Ann"), 3));
}

#[test]
fn an_answer_that_nobody_told_of_is_looked_for() {
    let mut stage = Stage::begin(static_task(research()), Start::default());
    let first = stage.all_are_asked();
    stage.passes(limits::TASK_LOOK_MS);
    assert_eq!(stage.queries(), [("ana", "sights"), ("bo", "food")]);
    stage.says("ana", "the fjord");
    assert_eq!(stage.all_are_asked(), first[1..], "with the same message");
    assert!(stage.is_parked());
    assert_eq!(stage.wakes, Some(stage.now.plus_ms(limits::TASK_LOOK_MS)));
}

#[test]
fn a_step_is_late_however_often_it_was_looked_for_and_is_looked_for_once_more_before_it_has_failed() {
    let mut slow = step("a", "ana", Some("x"), &[]);
    (slow.timeout_ms, slow.retry) = (Some(limits::TASK_LOOK_MS + 1_000), Some(Retry { attempts: 2, backoff_ms: 100 }));
    let mut stage = begun(vec![slow]);
    stage.passes(limits::TASK_LOOK_MS);
    let first = stage.all_are_asked().remove(0);
    assert_eq!(stage.wakes, Some(stage.now.plus_ms(1_000)));
    stage.passes(1_000);
    assert_eq!(stage.queries(), [("ana", "x")]);
    stage.all_are_asked();
    assert_eq!(stage.aborted, [first.0]);
    assert_eq!(stage.states(), ["a retrying"]);
    stage.passes(200);
    stage.tells_of(&first.1, Ok("too late"));
    assert_eq!(stage.states(), ["a running"], "what came of the first try is nobody's any more");
    stage.all_are_asked();
    stage.tells("a", Ok("done after all"));
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Done)));
}

#[test]
fn what_an_agent_has_failed_at_is_tried_again() {
    let mut stage = begun(vec![step("a", "ana", Some("x"), &[])]);
    stage.tells("a", Err("no idea"));
    assert_eq!(stage.states(), ["a retrying"]);
    stage.passes(1_500);
    assert_eq!(stage.queries(), [("ana", "x")]);
}

#[test]
fn a_request_to_stop_reaches_agents_that_work_for_a_parked_run() {
    let mut stage = Stage::begin(static_task(research()), Start::default());
    let asked = stage.all_are_asked();
    stage.hears("cancel", Message::Cancel { reason: String::new() });
    assert_eq!(stage.aborted, asked.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    assert_eq!(stage.over, Some(RunReport::Finished(Ending::Cancelled)));
}
