//! Cancelling, parking, resuming, giving up.

use serde_json::json;

use super::stage::{Stage, picks, says, utters, weather};
use crate::event::{Control, EventBody, TurnOutcome};
use crate::ids::Timestamp;
use crate::machine::{CancelReason, CommitFailure, Input, Machine, ProtocolError};
use crate::turn::{Completion, Context, Effect, GiveUp, Invocation, Outcome, RunState, SuspendedTurn, Then, Turn, TurnReport, TurnStep};

/// Polls to the next wait and gives the steps before it.
fn drain(stage: &Stage, turn: &mut Turn) -> Vec<TurnStep> {
    let mut steps = Vec::new();
    loop {
        match turn.poll(&stage.bot, stage.now).unwrap() {
            TurnStep::Wait { .. } => return steps,
            step @ (TurnStep::Done(_) | TurnStep::Park { .. }) => {
                steps.push(step);
                return steps;
            }
            step => steps.push(step),
        }
    }
}

fn outcome(stage: &Stage, turn: &mut Turn, step: &TurnStep, result: Outcome) {
    let TurnStep::Perform(issued) = step else { panic!("nothing is performed: {step:?}") };
    turn.handle(&stage.bot, Input::Outcome { id: issued.id, attempt: issued.attempt, result: Ok(result) }, stage.now).unwrap();
}

fn said(content: &str) -> Outcome {
    Outcome::Llm(Completion { content: content.to_owned(), ..Completion::default() })
}

/// A turn whose checkpoint before `Book` is durable, and the saved bytes.
fn at_checkpoint(stage: &mut Stage) -> (Turn, Vec<u8>) {
    let message = stage.message("book Oslo");
    let mut turn = stage.turn(vec![message]);
    let select = drain(stage, &mut turn).pop().unwrap();
    outcome(stage, &mut turn, &select, said(r#"{"action": "Book", "slots": {"city": "Oslo"}}"#));
    let Some(TurnStep::Commit(commit)) = drain(stage, &mut turn).pop() else { panic!("a checkpoint is due") };
    assert_eq!(commit.then, Then::Hold);
    let RunState::Put(bytes) = commit.run else { panic!("the run is saved") };
    (turn, bytes)
}

#[test]
fn a_cancelled_turn_keeps_what_was_said_and_done() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let mut turn = stage.turn(vec![message]);
    drain(&stage, &mut turn);
    turn.handle(&stage.bot, Input::Cancel(CancelReason::Superseded), stage.now).unwrap();
    let played = stage.play(turn, []);
    assert_eq!(played.end().outcome, TurnOutcome::Superseded);
    assert_eq!(played.lines(), ["UserUtter:hi"]);
    assert!(played.events.iter().any(|event| event.body == EventBody::Control(Control::Superseded)));
}

#[test]
fn a_cancel_waits_for_an_effect_that_may_change_the_world() {
    let mut stage = Stage::new(weather(|_| {}));
    let (mut turn, _) = at_checkpoint(&mut stage);
    turn.handle(&stage.bot, Input::Committed { head: stage.tracker.head }, stage.now).unwrap();
    let perform = drain(&stage, &mut turn).pop().unwrap();
    turn.handle(&stage.bot, Input::Cancel(CancelReason::Superseded), stage.now).unwrap();
    assert_eq!(drain(&stage, &mut turn), []);
    outcome(&stage, &mut turn, &perform, Outcome::Executed { text: "booked".to_owned(), metadata: serde_json::Map::new() });
    let played = stage.play(turn, []);
    assert_eq!(played.lines(), ["UserUtter:book Oslo", "Selector:Book", "Book/end:booked"]);
    assert_eq!(played.end().outcome, TurnOutcome::Superseded);
}

#[test]
fn a_resumed_effect_that_may_have_happened_is_never_performed_again() {
    let mut stage = Stage::new(weather(|_| {}));
    let (_, bytes) = at_checkpoint(&mut stage);
    let saved: SuspendedTurn = serde_json::from_slice(&bytes).unwrap();
    assert!(saved.performed());
    let context = Context { tracker: stage.tracker.clone(), streams: true, ..Context::default() };
    let turn = Turn::resume(saved, context, stage.now);
    let played = stage.play(turn, [picks("BotUtter"), utters("I do not know whether it was booked.")]);
    assert_eq!(played.actions()[2].result[0].metadata["failure"], "outcome_unknown");
    assert!(played.commits[0].commit_id.0.ends_with("/1"), "the counting goes on: {:?}", played.commits[0].commit_id);
}

#[test]
fn a_resumed_effect_that_honours_its_key_is_performed_again_under_it() {
    let make_idempotent = |source: &mut crate::bot::BotSource| {
        for action in &mut source.actions {
            if let crate::bot::ActionKind::Form(form) = &mut action.kind
                && let Some(executor) = &mut form.executor
                && executor.safety == crate::bot::Safety::AtMostOnce
            {
                executor.safety = crate::bot::Safety::Idempotent;
            }
        }
    };
    let mut stage = Stage::new(weather(make_idempotent));
    let (mut first, bytes) = at_checkpoint(&mut stage);
    first.handle(&stage.bot, Input::Committed { head: stage.tracker.head }, stage.now).unwrap();
    let Some(TurnStep::Perform(before)) = drain(&stage, &mut first).pop() else { panic!("it is performed") };
    let saved: SuspendedTurn = serde_json::from_slice(&bytes).unwrap();
    let mut second = Turn::resume(saved, Context { tracker: stage.tracker.clone(), ..Context::default() }, stage.now);
    let Some(TurnStep::Perform(after)) = drain(&stage, &mut second).pop() else { panic!("it is performed again") };
    assert_eq!((before.id, before.effect), (after.id, after.effect));
    assert_eq!(after.attempt, before.attempt + 1);
}

#[test]
fn a_call_that_does_not_fit_the_invocation_is_parked_and_made_by_the_next() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let run = crate::ids::RunId::of(&Stage::key(), &message.sender, &message.message_id);
    let invocation = |until: Timestamp| Some(Invocation { until, budget_ms: 40_000 });
    let context =
        Context { tracker: stage.tracker.clone(), streams: false, invocation: invocation(stage.now.plus_ms(5_000)), effects_left: None };
    let mut turn = Turn::start(&stage.bot, Stage::key(), run, vec![message], context, stage.now);
    let Some(TurnStep::Commit(commit)) = drain(&stage, &mut turn).pop() else { panic!("the run is saved") };
    assert_eq!(commit.then, Then::Park(stage.now));
    turn.handle(&stage.bot, Input::Committed { head: stage.tracker.head }, stage.now).unwrap();
    assert_eq!(drain(&stage, &mut turn), [TurnStep::Park { until: stage.now }]);
    let RunState::Put(bytes) = commit.run else { panic!("the run is saved") };
    let saved: SuspendedTurn = serde_json::from_slice(&bytes).unwrap();
    assert!(!saved.performed());
    let context =
        Context { tracker: stage.tracker.clone(), streams: false, invocation: invocation(stage.now.plus_ms(40_000)), effects_left: None };
    let turn = Turn::resume(saved, context, stage.now);
    let played = stage.play(turn, [picks("BotUtter"), utters("Hi.")]);
    assert_eq!(played.said(), ["Hi."]);
}

#[test]
fn where_effects_are_counted_a_turn_that_needs_more_of_them_is_parked() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let run = crate::ids::RunId::of(&Stage::key(), &message.sender, &message.message_id);
    let context = Context { tracker: stage.tracker.clone(), effects_left: Some(0), ..Context::default() };
    let mut turn = Turn::start(&stage.bot, Stage::key(), run, vec![message], context, stage.now);
    let Some(TurnStep::Commit(commit)) = drain(&stage, &mut turn).pop() else { panic!("the run is saved") };
    assert_eq!(commit.then, Then::Park(stage.now));
    let RunState::Put(bytes) = commit.run else { panic!("the run is saved") };
    let saved: SuspendedTurn = serde_json::from_slice(&bytes).unwrap();
    let context = Context { tracker: stage.tracker.clone(), effects_left: Some(2), ..Context::default() };
    let turn = Turn::resume(saved, context, stage.now);
    let played = stage.play(turn, [picks("BotUtter"), utters("Hi.")]);
    assert_eq!(played.said(), ["Hi."]);
}

#[test]
fn a_run_taken_over_too_often_ends_with_the_fallback_reply() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let mut turn = stage.turn(vec![message]);
    turn.give_up(&stage.bot, &GiveUp::TakenOver(4), stage.now);
    let played = stage.play(turn, []);
    assert_eq!(played.lines(), ["UserUtter:hi", "BotUtter:Sorry, please try again."]);
    assert!(played.events.iter().any(|event| event.body == EventBody::Control(Control::GaveUp { takeovers: 4 })));
}

#[test]
fn a_run_that_a_later_version_saved_is_given_up_and_its_last_write_is_no_repeat() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let mut turn = stage.turn(vec![message]);
    let mut saved: serde_json::Value = serde_json::from_slice(&turn.save(stage.now).unwrap()).unwrap();
    saved["schema"] = json!(2);
    let refused = serde_json::from_value::<SuspendedTurn>(saved).unwrap_err();
    assert_eq!(refused.to_string(), "its schema is 2, this build knows up to 1");
    turn.give_up(&stage.bot, &GiveUp::Unreadable, stage.now);
    turn.give_up(&stage.bot, &GiveUp::TakenOver(4), stage.now);
    let played = stage.play(turn, []);
    assert_eq!(played.lines(), ["UserUtter:hi", "BotUtter:Sorry, please try again."]);
    assert!(played.commits[0].commit_id.0.ends_with("/4294967295"));
}

#[test]
fn a_run_begun_again_on_another_bot_goes_on_counting() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let turn = stage.turn(vec![message]);
    let mut saved: serde_json::Value = serde_json::from_slice(&turn.save(stage.now).unwrap()).unwrap();
    saved["counters"]["commits"] = json!(3);
    let saved: SuspendedTurn = serde_json::from_value(saved).unwrap();
    let turn = Turn::restart(&stage.bot, saved, Context { tracker: stage.tracker.clone(), ..Context::default() }, stage.now);
    let played = stage.play(turn, [picks("BotUtter"), utters("Hi.")]);
    assert!(played.commits[0].commit_id.0.ends_with("/3"));
}

#[test]
fn a_fenced_turn_performs_nothing_more() {
    let mut stage = Stage::new(weather(|_| {}));
    let (mut turn, _) = at_checkpoint(&mut stage);
    turn.handle(&stage.bot, Input::CommitFailed(CommitFailure::Fenced), stage.now).unwrap();
    assert_eq!(drain(&stage, &mut turn), [TurnStep::Done(TurnReport::Fenced)]);
    assert_eq!(turn.handle(&stage.bot, Input::Tick, stage.now), Err(ProtocolError::Finished));
}

#[test]
fn a_store_that_fails_is_tried_again_with_the_same_commit_id_and_then_left_alone() {
    let mut stage = Stage::new(weather(|_| {}));
    let (mut turn, _) = at_checkpoint(&mut stage);
    let mut ids = Vec::new();
    let report = loop {
        turn.handle(&stage.bot, Input::CommitFailed(CommitFailure::Transient), stage.now).unwrap();
        match turn.poll(&stage.bot, stage.now).unwrap() {
            TurnStep::Wait { until } => stage.now = until.unwrap(),
            TurnStep::Done(report) => break report,
            step => panic!("{step:?}"),
        }
        match turn.poll(&stage.bot, stage.now).unwrap() {
            TurnStep::Commit(commit) => ids.push(commit.commit_id),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!(report, TurnReport::Abandoned);
    assert!(ids.len() == 7 && ids.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_driver_is_told_when_it_breaks_the_contract() {
    let mut stage = Stage::new(weather(|_| {}));
    let message = stage.message("hi");
    let mut turn = stage.turn(vec![message]);
    let step = drain(&stage, &mut turn).pop().unwrap();
    let TurnStep::Perform(issued) = &step else { panic!("{step:?}") };
    let handle = |turn: &mut Turn, id, result| turn.handle(&stage.bot, Input::Outcome { id, attempt: 1, result: Ok(result) }, stage.now);
    let unknown = crate::machine::EffectId(99);
    assert_eq!(handle(&mut turn, unknown, said("x")), Err(ProtocolError::UnknownEffect(unknown)));
    let executed = Outcome::Executed { text: String::new(), metadata: serde_json::Map::new() };
    assert_eq!(handle(&mut turn, issued.id, executed), Err(ProtocolError::WrongOutcome(issued.id)));
    assert_eq!(turn.handle(&stage.bot, Input::Committed { head: stage.tracker.head }, stage.now), Err(ProtocolError::NoCommit));
    assert!(matches!(issued.effect, Effect::CallLlm(_)));
}

#[test]
fn a_run_saved_by_the_first_release_still_loads() {
    let saved = include_str!("saved_run_v1.json");
    let saved: SuspendedTurn = serde_json::from_str(saved).unwrap();
    let mut stage = Stage::new(weather(|_| {}));
    let turn = Turn::resume(saved, Context { tracker: stage.tracker.clone(), ..Context::default() }, stage.now);
    let played = stage.play(turn, [picks("BotUtter"), says("I cannot tell.")]);
    assert_eq!(played.said(), ["I cannot tell."]);
}
